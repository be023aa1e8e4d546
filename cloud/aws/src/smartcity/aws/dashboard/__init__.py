"""The city's dashboard, defined once (`city`), and what renders it: QuickSight's resources, a picture, Athena's SQL."""
