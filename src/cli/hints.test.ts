// The way out of what a daemon says of plugins.
import { expect, test } from "bun:test";
import { wayOut } from "./hints.ts";

const daemon = "Error response from daemon: ";
const lookingUp = "error looking up volume plugin p:latest: plugin";

test.each([
  [`get v: error while checking if volume "v" exists: ${lookingUp} p:latest found but disabled`],
  ["remove v: plugin rclone does not answer: connect ECONNREFUSED"],
])("a volume whose plugin is away can be freed: %s", (message) => {
  expect(wayOut(daemon + message)).toContain("holdfast volume rm --force NAME");
});

test("a volume whose plugin is removed can be freed, and is no question of its driver", () => {
  const where = 'get v: error while checking if volume "v" exists in driver "p:latest"';
  const way = wayOut(`${daemon}${where}: ${lookingUp} "p:latest" not found`);
  expect(way).toStartWith("Install its plugin again, or free the name with: holdfast volume rm");
});

test.each([
  [`create v: ${lookingUp} p:latest found but disabled`, "holdfast plugin enable PLUGIN"],
  [`create v: ${lookingUp} "p" not found`, "holdfast drivers"],
  ['create v: missing required option: "server" (server=HOST: the NAS)', "holdfast drivers DRIVER"],
  ["create v: plugin rclone does not answer: ECONNREFUSED", "holdfast plugin ls"],
  ["get v: no such volume", "holdfast volume ls"],
  ['plugin "p" not found', "holdfast plugin ls"],
  ["plugin p:latest already exists", "--alias"],
  ["error resolving plugin reference: r.io/p:latest: not found", "tag"],
  ["error resolving plugin reference: access denied, repository does not exist or", "docker login"],
  ['setting "X" not found in the plugin configuration', "plugin inspect"],
  ["create v: there is no secret nas", "holdfast secret create NAME"],
  ["dial unix /run/p.sock: connect: no such file or directory", "plugin logs"],
])("of %s", (message, way) => {
  expect(wayOut(daemon + message)).toContain(way);
});
