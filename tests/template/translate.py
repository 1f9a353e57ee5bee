"""Translates an AWS SAM template as CloudFormation does, and prints the result as JSON."""
import json
import sys
from types import SimpleNamespace

import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


class Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {"Fn::" + suffix: value}


Loader.add_multi_constructor("!", function)
with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml.load(file, Loader)
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"
session = SimpleNamespace(region_name="us-east-1", client=None)
policies = {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
json.dump(Translator(policies, Parser(), None, session).translate(template, {}), sys.stdout)
