"""Speaks to an engine through Debian's python3-docker: every volume call of a usual script.

usage: docker-py.py SOCKET NEWEST
NEWEST is "1.41" for Debian's dockerd; anything newer prunes anonymous volumes only.
"""

import json
import sys
import time

import docker
from docker.errors import APIError, NotFound

ANONYMOUS = "com.docker.volume.anonymous"

checks = 0


def check(what, is_so):
    """Counts a check that holds, ends the script at the first that does not."""
    global checks
    if not is_so:
        sys.exit(f"does not hold: {what}")
    checks += 1


def refused(call, error, status, text):
    """The call must raise this class of error, with this status and this text."""
    try:
        call()
    except error as raised:
        check(f"{text}: status {status}", raised.response.status_code == status)
        check(f"{text} in {raised.explanation}", text in str(raised.explanation))
    else:
        sys.exit(f"was not refused: {text}")


def create_and_read(client):
    made = client.volumes.create(name="one", driver="local", labels={"kind": "test"})
    check("the name", made.name == "one" and made.id == "one")
    check("the labels", made.attrs["Labels"] == {"kind": "test"})
    check("the scope", made.attrs["Scope"] == "local")
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    scratch = client.volumes.create(name="scratch", driver_opts=options)
    check("the options", scratch.attrs["Options"] == options)
    check("a volume by name", client.volumes.get("one").attrs == made.attrs)
    made.reload()
    check("a volume read again", made.attrs["Mountpoint"].endswith("/volumes/one/_data"))
    check("no name", len(client.volumes.create().name) == 64)


def list_with_filters(client):
    def names(**filters):
        return sorted(volume.name for volume in client.volumes.list(filters=filters))

    check("all", len(client.volumes.list()) == 3)
    check("by name", names(name="^one$") == ["one"])
    check("by two names", names(name=["one", "scratch"]) == ["one", "scratch"])
    check("by label", names(label="kind=test") == ["one"])
    check("by driver", len(names(driver="local")) == 3 and names(driver="nosuch") == [])
    check("dangling", len(names(dangling=True)) == 3 and names(dangling=False) == [])


def errors(client):
    refused(lambda: client.volumes.get("nosuch"), NotFound, 404, "get nosuch: no such volume")
    refused(lambda: client.volumes.create(name="a b"), APIError, 400, "includes invalid characters")
    refused(lambda: client.volumes.list(filters={"foo": "x"}), APIError, 400, "nvalid filter 'foo'")
    bad = {"type": "tmpfs"}
    refused(
        lambda: client.volumes.create(name="bad", driver_opts=bad),
        APIError,
        400,
        'missing required option: "device"',
    )
    gone = client.volumes.create(name="gone")
    gone.remove()
    refused(gone.remove, NotFound, 404, "get gone: no such volume")
    # This version of the library forgets to send `force`.
    refused(lambda: gone.remove(force=True), NotFound, 404, "get gone: no such volume")
    check("removed", "gone" not in [volume.name for volume in client.volumes.list()])


def usage(client):
    volumes = client.df()["Volumes"]
    check("df leaves out volumes with options", len(volumes) == 2)
    check("df counts", all(volume["UsageData"]["RefCount"] == 0 for volume in volumes))
    check("df measures", all(volume["UsageData"]["Size"] >= 0 for volume in volumes))


def events(client, since):
    until = int(time.time()) + 1
    time.sleep(max(0, until - time.time()))
    # The client takes whole seconds or dates, and ends where the engine ends the stream.
    told = list(client.events(since=since, until=until, filters={"type": "volume"}, decode=True))
    check("the first event", told[0]["Action"] == "create" and told[0]["Actor"]["ID"] == "one")
    check("the driver", told[0]["Actor"]["Attributes"]["driver"] == "local")
    check("the end", [told[-1]["Action"], told[-1]["Actor"]["ID"]] == ["destroy", "gone"])


def prune(client, newest):
    kept = client.volumes.prune(filters={"label": "nosuch"})
    check("a prune of nothing", kept == {"VolumesDeleted": [], "SpaceReclaimed": 0})
    report = client.volumes.prune()
    left = sorted(volume.name for volume in client.volumes.list())
    if newest == "1.41":
        check("a prune by the old rule", left == ["scratch"])
    else:
        check("a prune of anonymous volumes", left == ["one", "scratch"])
        check("its report", len(report["VolumesDeleted"]) == 1)
        report = client.volumes.prune(filters={"all": True})
        check("a prune of all", report["VolumesDeleted"] == ["one"])
    client.volumes.get("scratch").remove()
    check("nothing is left", client.volumes.list() == [])


def main(socket, newest):
    since = int(time.time())
    client = docker.DockerClient(base_url=f"unix://{socket}", version="auto")
    check("ping", client.ping())
    check("version", client.version()["ApiVersion"] == newest)
    check("the version that was agreed on", client.api.api_version == newest)
    check("info", client.info()["OSType"] == "linux")
    create_and_read(client)
    list_with_filters(client)
    errors(client)
    usage(client)
    events(client, since)
    prune(client, newest)
    print(json.dumps({"checks": checks}))


main(*sys.argv[1:])
