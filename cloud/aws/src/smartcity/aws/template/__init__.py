"""The CloudFormation template `smartcity.yaml`: its rendered parts, and what is checked of it."""
