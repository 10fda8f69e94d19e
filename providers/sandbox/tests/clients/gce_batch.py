"""Google's API client for Python: several calls of Compute Engine in one batch, in the form that gcloud sends too."""

import os
import time

import google.auth
import google_auth_httplib2
import httplib2
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
ENDPOINT = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"]
credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/compute"])
http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http())
compute = build("compute", "v1", http=http, client_options={"api_endpoint": ENDPOINT}, static_discovery=True)
place = {"project": PROJECT, "zone": "us-central1-a"}


def batch(**calls):
    """The answer or the error of each call, by its name."""
    answers = {}
    together = BatchHttpRequest(
        callback=lambda name, answer, error: answers.update({name: error or answer}),
        batch_uri=ENDPOINT.replace("/compute/v1/", "/batch/compute/v1"),
    )
    for name, call in calls.items():
        together.add(call, request_id=name)
    together.execute(http=http)
    return answers


def instance(name):
    """An instance to be made."""
    source = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
    return {
        "name": name,
        "machineType": "zones/us-central1-a/machineTypes/e2-micro",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": source}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }


def finish(*operations):
    """Waits until operations are done."""
    for operation in operations:
        deadline = time.monotonic() + 60
        while operation["status"] != "DONE":
            assert time.monotonic() < deadline, operation
            operation = compute.zoneOperations().wait(**place, operation=operation["name"]).execute()
        assert "error" not in operation, operation


instances = compute.instances()
answers = batch(
    one=instances.insert(**place, body=instance("one")),
    two=instances.insert(**place, body=instance("two")),
    zones=compute.zones().list(project=PROJECT),
    missing=instances.get(**place, instance="missing"),
)
assert len(answers["zones"]["items"]) == 4, answers
assert isinstance(answers["missing"], HttpError) and answers["missing"].resp.status == 404, answers
finish(answers["one"], answers["two"])
answers = batch(one=instances.delete(**place, instance="one"), two=instances.delete(**place, instance="two"))
finish(*answers.values())
assert "items" not in instances.list(**place).execute()
print("done")
