-- The lake's own tables, read where they lie (Redshift Spectrum). The role is the namespace's default one.

CREATE EXTERNAL SCHEMA lake FROM DATA CATALOG DATABASE '${database}' IAM_ROLE default;
