// Who is inside of a container is known whichever way its engine hands on what it mounts.
import { expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { podmanRunArguments } from "../support/podman.ts";
import {
  curlImage,
  expectAsked,
  insideDirectory,
  loadCurlImage,
  lockMount,
  needsOfInside,
  sleeper,
  startInside,
} from "./inside-bench.ts";

const testMs = 180_000;

whenPossible(
  needsOfInside,
  "an engine that shares on what it gets has containers with their own volumes only",
  async () => {
    await using bench = await startInside({ dockerd: { sharesRoot: true } });
    for (const name of ["ours", "theirs"]) {
      await bench.createVolume(name);
      await sleeper(bench, `of-${name}`, "-v", `${name}:/data`);
    }
    for (const volume of ["ours", "theirs"]) {
      const { volumes } = await expectAsked(bench, 200, `of-${volume}`, "GET", "/");
      expect(volumes).toEqual([{ volume, target: "/data", access: "rw" }]);
    }
    await expectAsked(bench, 404, "of-ours", "POST", "volumes/theirs/locks/key", {});
  },
  testMs,
);

whenPossible(
  ["root", "podman", "mount", "busybox", "curl"],
  "Podman's containers have their own volumes only, though one hold serves them all",
  async () => {
    await using bench = new HoldsBench({ servesContainers: true });
    await bench.startDaemon();
    const podman = await bench.startPodman();
    await loadCurlImage(podman.run);
    for (const name of ["ours", "theirs"]) {
      await podman.succeed("volume", "create", "--driver", "holdfast", name);
      const words = ["--name", `of-${name}`, "--stop-signal=KILL", ...podmanRunArguments];
      const mounts = ["-v", `${name}:/data`, ...lockMount(bench)];
      await podman.succeed("run", "-d", ...words, ...mounts, curlImage, "sleep", "1000");
    }
    const curl = ["curl", "-s", "--unix-socket", `${insideDirectory}/locks.sock`];
    for (const volume of ["ours", "theirs"]) {
      const text = await podman.succeed("exec", `of-${volume}`, ...curl, "http://locks/");
      const { volumes } = JSON.parse(text);
      expect(volumes).toEqual([{ volume, target: "/data", access: "rw" }]);
    }
    const url = "http://locks/holdfast/v1/volumes/theirs/locks/key";
    const refused = await podman.succeed("exec", "of-ours", ...curl, "--json", "{}", url);
    expect(refused).toContain("volume.not_found");
  },
  testMs,
);
