// What is protected stays, whoever asks: dockerd, the docker command line on Holdfast's own socket,
// Podman, Holdfast itself. All of them are told why.
import { describe, expect } from "bun:test";
import { existsSync } from "node:fs";
import { runOnTerminal } from "../e2e/on-terminal.ts";
import { holdfastCommand } from "../support/daemon.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";
import { stage } from "./stage.ts";
import {
  dataOf,
  fill,
  history,
  holdfast,
  keptAs,
  onOwnSocket,
  readBy,
  refusal,
  trash,
  treeOf,
} from "./steps.ts";

const reason = "prod orders, ask before touching";
const isProtected = `volume is protected: ${reason}`;

let bench: HoldsBench;
const when = stage((started) => {
  bench = started;
});

/** A protected volume with data in it. */
async function protectedVolume(name: string): Promise<void> {
  await bench.createVolume(name);
  fill(bench, name);
  expect(await holdfast(bench, "volume", "protect", name, "--reason", reason)).toBe(name);
}

/** It is there with all of its data, and nothing of that name is in the trash. */
async function isWhole(name: string, before: readonly string[]): Promise<void> {
  expect(treeOf(dataOf(bench, name))).toEqual(before);
  expect((await trash(bench)).filter((entry) => entry.name === name)).toEqual([]);
}

describe("a protected volume", () => {
  when("is removed by no volume rm of dockerd's, by force neither, and is used on", async () => {
    await bench.createVolume("pgdata", "sharing=onewriter");
    fill(bench, "pgdata");
    await holdfast(bench, "volume", "protect", "pgdata", "--reason", reason);
    const before = treeOf(dataOf(bench, "pgdata"));
    for (const force of [[], ["-f"]]) {
      const said = await bench.refused("volume", "rm", ...force, "pgdata");
      expect(said).toBe(
        `Error response from daemon: remove pgdata: ${isProtected}. ` +
          "Lift the protection with `holdfast volume unprotect`, which wants the name again.",
      );
      await isWhole("pgdata", before);
      // By force dockerd forgets what it was told at create, whatever the driver says.
      const format = "--format={{json .Options}}";
      const options = JSON.parse(await bench.docker("volume", "inspect", format, "pgdata"));
      expect(options).toEqual(force.length === 0 ? { sharing: "onewriter" } : null);
      expect(await bench.docker("volume", "ls", "-q")).toBe("pgdata");
      expect(await readBy(bench, "pgdata")).toBe("pgdata");
    }
    // A container that had it is not kept from going.
    await bench.run("db", "-v", "pgdata:/v");
    await bench.docker("rm", "-f", "-v", "db");
    await bench.holders("pgdata");
    await isWhole("pgdata", before);
  });

  when("is not removed with the container that it was made for, as an anonymous one", async () => {
    const place = ["run", "-d", "--network", "none", "--stop-signal=KILL"];
    const mount = ["--volume-driver", "holdfast", "-v", "/v", testImage, "sleep", "1000"];
    const id = await bench.docker(...place, ...mount);
    const format = "--format={{(index .Mounts 0).Name}}";
    const volume = await bench.docker("inspect", format, id);
    await holdfast(bench, "volume", "protect", volume, "--reason", reason);
    // dockerd says nothing of it.
    await bench.docker("rm", "-f", "-v", id);
    expect(existsSync(dataOf(bench, volume))).toBe(true);
    expect(await readBy(bench, volume, "../etc/passwd")).toContain("root:");
    await holdfast(bench, "volume", "unprotect", volume, "--confirm", volume);
    await bench.docker("volume", "rm", volume);
  });

  when("is shown as such by all that show it", async () => {
    await protectedVolume("shown");
    const [docker] = JSON.parse(await bench.docker("volume", "inspect", "shown"));
    const [own] = JSON.parse(await holdfast(bench, "volume", "inspect", "shown"));
    expect([docker.Status.protected, own.Status.protected]).toEqual([reason, reason]);
    const cli = await onOwnSocket(bench, "docker", "volume", "inspect", "shown");
    expect(JSON.parse(cli.stdout)[0].Status.protected).toBe(reason);
    const [program, ...first] = holdfastCommand();
    const { text } = await runOnTerminal({
      command: [program, ...first, "volume", "ls"],
      environment: { HOLDFAST_HOST: `unix://${bench.daemon.socketPath}`, TERM: "xterm" },
      answers: [],
    });
    expect(text).toMatch(/^shown +local +idle, protected: prod orders/m);
    // Docker's own list has no room for it.
    expect(await bench.docker("volume", "ls", "--filter", "name=shown")).not.toContain("prod");
  });

  when(
    "is neither removed nor pruned on Holdfast's own socket",
    async () => {
      await protectedVolume("kept");
      const before = treeOf(dataOf(bench, "kept"));
      await holdfast(bench, "volume", "create", "gone");
      for (const force of [[], ["-f"]]) {
        const ended = await onOwnSocket(bench, "docker", "volume", "rm", ...force, "kept");
        expect(ended).toEqual({
          ...{ exit: 1, stdout: "" },
          stderr: `Error response from daemon: remove kept: ${isProtected}\n`,
        });
        expect(await refusal(bench, "volume", "rm", ...force, "kept")).toContain(isProtected);
      }
      const purging = ["volume", "rm", "--purge", "--yes", "kept"];
      expect(await refusal(bench, ...purging)).toContain(isProtected);
      expect(await refusal(bench, "volume", "rename", "kept", "other")).toContain(isProtected);
      const pruned = await holdfast(bench, "volume", "prune", "--all", "--force");
      expect(pruned.split("\n").slice(0, 2)).toEqual(["Deleted Volumes:", "gone"]);
      expect(pruned).not.toContain("kept");
      const cli = await onOwnSocket(bench, "docker", "volume", "prune", "-a", "-f");
      expect(cli.stdout).toBe("Total reclaimed space: 0B\n");
      await isWhole("kept", before);
    },
    "docker-cli-23",
  );

  when("is removed when that was lifted, for which its name is needed", async () => {
    await protectedVolume("wiki");
    for (const words of [[], ["--confirm", "wik"], ["--confirm", ""], ["--confirm", reason]]) {
      await refusal(bench, "volume", "unprotect", "wiki", ...words);
      expect(await bench.refused("volume", "rm", "wiki")).toContain(isProtected);
    }
    await holdfast(bench, "volume", "unprotect", "wiki", "--confirm", "wiki");
    await bench.docker("volume", "rm", "wiki");
    expect((await keptAs(bench, "wiki")).protection).toBeNull();
    const told = (await history(bench, "wiki")).map((row) => [row.action, row.by, row.outcome]);
    const own = (await history(bench, "wiki")).find(({ action }) => action === "protect")?.by ?? "";
    expect(own).toEndWith(" (root)");
    expect(told).toEqual([
      ["remove", "dockerd", "done"],
      ["unprotect", own, "done"],
      ...Array.from({ length: 4 }, () => ["remove", "dockerd", "volume.protected"]),
      ["protect", own, "done"],
      ["create", "dockerd", "done"],
    ]);
  });

  when("in the trash is not purged", async () => {
    await bench.createVolume("taxes");
    fill(bench, "taxes");
    await bench.docker("volume", "rm", "taxes");
    await holdfast(bench, "trash", "protect", "taxes", "--reason", reason);
    expect(await refusal(bench, "trash", "purge", "--yes", "taxes")).toContain(reason);
    await holdfast(bench, "trash", "purge", "--all", "--yes", "--wait");
    expect((await trash(bench)).map(({ name }) => name)).toEqual(["taxes"]);
    await holdfast(bench, "trash", "restore", "taxes");
    expect(await readBy(bench, "taxes")).toBe("taxes");
    // It comes back protected.
    expect(await bench.refused("volume", "rm", "taxes")).toContain(isProtected);
  });
});

describe("Podman", () => {
  const create = ["volume", "create", "--driver", "holdfast"] as const;
  const run = ["run", "--rm", ...podmanRunArguments, "-v", "notes:/v", testImage] as const;

  when(
    "removes into the trash and finds what is back; keeps what is protected",
    async () => {
      const podman = await bench.startPodman();
      const ways = [
        ["rm", "notes"],
        ["rm", "-f", "notes"],
        ["prune", "-f"],
      ];
      await podman.succeed(...create, "--opt", "owner=70:71", "notes");
      await podman.succeed(...run, "sh", "-c", "echo kept > /v/page");
      for (const way of ways) {
        await bench.holders("notes");
        expect(await podman.succeed("volume", ...way)).toBe("notes");
        expect(await keptAs(bench, "notes")).toMatchObject({ removedBy: "podman" });
        await holdfast(bench, "trash", "restore", "notes");
        // Podman knows the volumes that it has made itself: it must be told of this one.
        expect(await podman.succeed("volume", "ls", "--quiet")).toBe("");
        await podman.succeed(...create, "--opt", "owner=70:71", "notes");
      }
      expect(await podman.succeed(...run, "cat", "/v/page")).toBe("kept");

      await holdfast(bench, "volume", "protect", "notes", "--reason", reason);
      await bench.holders("notes");
      for (const way of ways) {
        const { exit, stderr } = await podman.run("volume", ...way);
        expect([exit, stderr]).toEqual([125, expect.stringContaining(isProtected)]);
        expect(await podman.succeed("volume", "ls", "--quiet")).toBe("notes");
      }
      expect(await podman.succeed(...run, "cat", "/v/page")).toBe("kept");
    },
    "podman",
  );
});
