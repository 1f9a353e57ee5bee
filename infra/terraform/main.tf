# Deploys template.yaml of the same version as a stack of CloudFormation. The zips of the
# functions come from a release, or from "make functions-zip".

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  type        = string
  default     = "aptless"
  description = "Name of the stack"
}

variable "zips" {
  type        = string
  description = "Folder with api.zip, worker.zip and schedule.zip"
}

variable "artifacts_bucket" {
  type        = string
  description = "Name of a bucket in the stack's region for the zips and the template"
}

locals {
  functions = toset(["api", "worker", "schedule"])
  # Each function's code is an object in the bucket; the key changes with the code.
  code = {
    for f in local.functions : f => "${var.name}/${f}-${filemd5("${var.zips}/${f}.zip")}.zip"
  }
  template = replace(replace(replace(
    file("${path.module}/../../template.yaml"),
    "CodeUri: dist/api/", "CodeUri: s3://${var.artifacts_bucket}/${local.code["api"]}"),
    "CodeUri: dist/worker/", "CodeUri: s3://${var.artifacts_bucket}/${local.code["worker"]}"),
  "CodeUri: dist/schedule/", "CodeUri: s3://${var.artifacts_bucket}/${local.code["schedule"]}")
}

resource "aws_s3_object" "code" {
  for_each = local.functions
  bucket   = var.artifacts_bucket
  key      = local.code[each.key]
  source   = "${var.zips}/${each.key}.zip"
}

# A template of more than 51,200 bytes has to be an object.
resource "aws_s3_object" "template" {
  bucket       = var.artifacts_bucket
  key          = "${var.name}/template-${md5(local.template)}.yaml"
  content      = local.template
  content_type = "application/yaml"
}

resource "aws_cloudformation_stack" "aptless" {
  name         = var.name
  template_url = "https://${var.artifacts_bucket}.s3.amazonaws.com/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  parameters   = local.parameters
  depends_on   = [aws_s3_object.code]
}

output "outputs" {
  value       = aws_cloudformation_stack.aptless.outputs
  description = "Outputs of the stack: ApiUrl, RepositoryUrl, Sources and others"
}
