"""boto3: an address with the signature in its query, which a program without a key asks for."""

import os
import time
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

EC2 = boto3.client("ec2")


def fetch(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def presigned(method="GET", **parameters):
    return EC2.generate_presigned_url("describe_regions", Params=parameters, HttpMethod=method, ExpiresIn=60)


for method in ["GET", "POST"]:
    status, text = fetch(presigned(method, RegionNames=["us-west-2"]), method)
    assert status == 200 and text.count("<regionName>us-west-2</regionName>") == 1, text
    assert text.count("<regionName>") == 1, text

# Whoever changes anything in it has no valid signature any more.
for changed in [
    presigned(RegionNames=["us-west-2"]).replace("us-west-2", "us-east-1", 1),
    presigned().replace("DescribeRegions", "DescribeVpcs"),
    presigned().replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
]:
    status, text = fetch(changed)
    assert status == 403 and "SignatureDoesNotMatch" in text, text
status, text = fetch(presigned().split("?")[0] + "?Action=DescribeRegions")
assert status == 401 and "AuthFailure" in text, text

# Nor does it last.
request = AWSRequest("GET", os.environ["AWS_ENDPOINT_URL"] + "/?Action=DescribeRegions&Version=2016-11-15")
SigV4QueryAuth(boto3.Session().get_credentials(), "ec2", "us-east-1", expires=1).add_auth(request)
assert fetch(request.url)[0] == 200
time.sleep(2.1)
status, text = fetch(request.url)
assert status == 400 and "RequestExpired" in text, text
print("done")
