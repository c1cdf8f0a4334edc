// Speaks to an engine through dockerode on Node: every volume call a program is likely to make.
//
// usage: node dockerode.mjs SOCKET NEWEST
// NEWEST is "1.41" for Debian's dockerd; anything newer prunes anonymous volumes only.
import assert from "node:assert/strict";
import Docker from "dockerode";

const [socketPath = "", newest = ""] = process.argv.slice(2);
const docker = new Docker({ socketPath });
const started = Math.floor(Date.now() / 1000);
const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=1m" };

async function createAndRead() {
  const one = await docker.createVolume({ Name: "one", Labels: { kind: "test" } });
  const seen = await docker.getVolume("one").inspect();
  assert.equal(seen.Name, "one");
  assert.deepEqual(seen.Labels, { kind: "test" });
  assert.equal(seen.Options, null);
  assert.match(seen.Mountpoint, /\/volumes\/one\/_data$/);
  assert.deepEqual(await one.inspect(), seen);
  const scratch = await docker.createVolume({
    Name: "scratch",
    Driver: "local",
    DriverOpts: tmpfs,
  });
  assert.deepEqual((await scratch.inspect()).Options, tmpfs);
  const unnamed = await docker.createVolume();
  assert.match(unnamed.name, /^[0-9a-f]{64}$/);
}

async function listWithFilters() {
  /** @param {Docker.Filters} filters */
  const names = async (filters) =>
    (await docker.listVolumes({ filters })).Volumes.map(({ Name }) => Name).sort();
  assert.equal((await docker.listVolumes()).Volumes.length, 3);
  assert.equal((await docker.listVolumes()).Warnings, null);
  assert.deepEqual(await names({ name: ["^one$"] }), ["one"]);
  assert.deepEqual(await names({ label: ["kind"] }), ["one"]);
  assert.deepEqual(await names({ label: { "kind=other": true } }), []);
  assert.equal((await names({ dangling: ["true"] })).length, 3);
}

/**
 * dockerode keeps the engine's answer in `statusCode` and `json`.
 *
 * @param {() => Promise<unknown>} call
 * @param {number} statusCode
 * @param {RegExp} text
 */
async function refused(call, statusCode, text) {
  await assert.rejects(call, (/** @type {Docker.Refusal} */ error) => {
    assert.equal(error.statusCode, statusCode);
    assert.match(error.json.message, text);
    return true;
  });
}

async function errors() {
  await refused(() => docker.getVolume("nosuch").inspect(), 404, /^get nosuch: no such volume$/);
  await refused(() => docker.getVolume("nosuch").remove(), 404, /^get nosuch: no such volume$/);
  await refused(() => docker.createVolume({ Name: "x" }), 400, /volume name is too short/);
  await refused(() => docker.listVolumes({ filters: { foo: ["x"] } }), 400, /nvalid filter 'foo'/);
  // dockerode sends `force` in a body, which a DELETE has not: the engine must take no notice.
  const forced = () => docker.getVolume("nosuch").remove({ force: true });
  await refused(forced, 404, /^get nosuch: no such volume$/);
}

async function usage() {
  const { Volumes: volumes } = await docker.df();
  assert.equal(volumes.length, 2);
  for (const { UsageData } of volumes) assert.equal(UsageData.RefCount, 0);
}

/**
 * The stream stays open; dockerd sends its head before it listens to itself, so ask for the past.
 */
async function events() {
  const filters = { type: ["volume"], event: ["destroy"] };
  const stream = await docker.getEvents({ since: started, filters });
  await docker.createVolume({ Name: "gone" });
  await docker.getVolume("gone").remove();
  for await (const chunk of stream) {
    const told = JSON.parse(chunk.toString());
    assert.equal(told.Action, "destroy");
    assert.equal(told.Actor.ID, "gone");
    break;
  }
  stream.destroy();
}

async function prune() {
  const left = async () => (await docker.listVolumes()).Volumes.map(({ Name }) => Name).sort();
  await docker.pruneVolumes();
  // Without a version in the path the engine's newest rule holds.
  assert.deepEqual(await left(), newest === "1.41" ? ["scratch"] : ["one", "scratch"]);
  if (newest !== "1.41") {
    const report = await docker.pruneVolumes({ filters: { all: ["true"] } });
    assert.deepEqual(report.VolumesDeleted, ["one"]);
  }
  await docker.getVolume("scratch").remove();
  assert.deepEqual(await left(), []);
}

assert.equal((await docker.ping()).toString(), "OK");
assert.equal((await docker.version()).ApiVersion, newest);
assert.equal((await docker.info()).OSType, "linux");
await createAndRead();
await listWithFilters();
await errors();
await usage();
await events();
await prune();
console.log("dockerode: done");
process.exit(0);
