"""CloudFormation: a template's resources, made at the services of this process."""
