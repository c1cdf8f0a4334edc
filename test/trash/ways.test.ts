// Every way to destroy a volume leads into the trash, and back: dockerd's, the docker command
// line's on Holdfast's own socket, and Holdfast's own.
import { describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { HoldsBench } from "../support/holds-bench.ts";
import { skipLoudly } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";
import { stage } from "./stage.ts";
import {
  comesBack,
  dataOf,
  dayMs,
  fill,
  holdfast,
  keptAs,
  onOwnSocket,
  readBy,
  refusal,
  stayMs,
  trash,
  treeOf,
} from "./steps.ts";

let bench: HoldsBench;
const when = stage((started) => {
  bench = started;
});

/** What a container does to a volume that dockerd makes for it, and removes with it. */
const anonymously = ["run", "--rm", "--network", "none", "--volume-driver", "holdfast"];

describe("dockerd", () => {
  when("volume rm: back with contents, owners, modes, labels and options", async () => {
    await comesBack(bench, {
      name: "orders",
      by: "dockerd",
      how: () => bench.docker("volume", "rm", "orders"),
    });
    expect(await readBy(bench, "orders")).toBe("orders");
    expect(await readBy(bench, "orders", "link")).toBe("orders rows");
  });

  when("run --rm: its anonymous volume stays for a day, and is there by its name", async () => {
    const before = new Set((await trash(bench)).map(({ id }) => id));
    const write = "echo anon > /v/page && chown 70:71 /v/page && chmod 600 /v/page";
    await bench.docker(...anonymously, "-v", "/v", testImage, "sh", "-c", write);
    const [entry, ...others] = (await trash(bench)).filter(({ id }) => !before.has(id));
    if (entry === undefined) throw new Error("the anonymous volume is not in the trash");
    expect(others).toEqual([]);
    expect(entry.name).toMatch(/^[0-9a-f]{64}$/);
    expect([entry.wasAnonymous, stayMs(entry), entry.removedBy]).toEqual([true, dayMs, "dockerd"]);
    await holdfast(bench, "trash", "restore", entry.name);
    expect(await readBy(bench, entry.name)).toBe("anon");
    expect(treeOf(dataOf(bench, entry.name))[1]).toMatch(/^page 100600 70:71 /);
  });

  when("rm -v: so does that of a container that is removed with its volumes", async () => {
    const place = ["run", "-d", "--network", "none", "--stop-signal=KILL"];
    const mount = ["--volume-driver", "holdfast", "-v", "/v", testImage, "sleep", "1000"];
    const id = await bench.docker(...place, ...mount);
    const format = "--format={{(index .Mounts 0).Name}}";
    const volume = await bench.docker("inspect", format, id);
    await bench.docker("rm", "-f", "-v", id);
    expect(stayMs(await keptAs(bench, volume))).toBe(dayMs);
  });

  when(
    "has forgotten the options of what is back, and wants to be told before it asks",
    async () => {
      const shown = async (): Promise<unknown> =>
        JSON.parse(await bench.docker("volume", "inspect", "--format={{json .Options}}", "told"));
      await bench.createVolume("told", "sharing=onewriter");
      expect(await shown()).toEqual({ sharing: "onewriter" });
      await bench.docker("volume", "rm", "told");
      await holdfast(bench, "trash", "restore", "told");
      // What it has once seen without them it shows without them, whatever it is told then.
      expect(await shown()).toBeNull();
      await bench.createVolume("told", "sharing=onewriter");
      expect(await shown()).toBeNull();
      await bench.docker("volume", "rm", "told");
      await holdfast(bench, "trash", "restore", "told");
      await bench.createVolume("told", "sharing=onewriter");
      expect(await shown()).toEqual({ sharing: "onewriter" });
      const [own] = JSON.parse(await holdfast(bench, "volume", "inspect", "told"));
      expect(own.Options).toEqual({ sharing: "onewriter" });
    },
  );

  when("volume prune: leaves the volumes of every plugin alone, anonymous ones too", async () => {
    await bench.createVolume("unused");
    const create = ["create", "--network", "none", "--volume-driver", "holdfast", "-v", "/v"];
    const container = await bench.docker(...create, testImage, "true");
    const format = "--format={{(index .Mounts 0).Name}}";
    const anonymous = await bench.docker("inspect", format, container);
    await bench.docker("rm", container);
    expect(await bench.docker("volume", "prune", "-f")).toBe("Total reclaimed space: 0B");
    const left = (await bench.docker("volume", "ls", "-q")).split("\n");
    expect(left).toContain("unused");
    expect(left).toContain(anonymous);
    await bench.docker("volume", "rm", "unused", anonymous);
  });
});

describe("a removed name", () => {
  when("is free at once, for an empty volume; the old one comes back beside it", async () => {
    await bench.createVolume("wiki");
    fill(bench, "wiki", "first");
    const before = treeOf(dataOf(bench, "wiki"));
    await bench.docker("volume", "rm", "wiki");
    await bench.createVolume("wiki");
    const listing = ["run", "--rm", "--network", "none", "-v", "wiki:/v", testImage];
    expect(await bench.docker(...listing, "ls", "-A", "/v")).toBe("");
    await bench.docker(...listing, "sh", "-c", "echo second > /v/page");

    const taken = await refusal(bench, "trash", "restore", "wiki");
    expect(taken).toContain("there is a volume wiki already");
    expect(taken).toContain("holdfast trash restore wiki --as NAME");
    const again = await refusal(bench, "trash", "restore", "wiki", "--as", "wiki");
    expect(again).toContain("there is a volume wiki already");
    expect(await holdfast(bench, "trash", "restore", "wiki", "--as", "wiki-old")).toBe("wiki-old");
    expect(await readBy(bench, "wiki-old")).toBe("first");
    expect(treeOf(dataOf(bench, "wiki-old"))).toEqual(before);
    expect(await readBy(bench, "wiki")).toBe("second");

    // The name is free once more: both are in the trash, and only an id tells them apart.
    await bench.docker("volume", "rm", "wiki", "wiki-old");
    await bench.createVolume("wiki");
    await bench.docker("volume", "rm", "wiki");
    const ambiguous = await refusal(bench, "trash", "restore", "wiki");
    const ids = (await trash(bench)).filter(({ name }) => name === "wiki").map(({ id }) => id);
    expect(ids).toHaveLength(2);
    for (const id of ids) expect(ambiguous).toContain(id);
    await holdfast(bench, "trash", "restore", ids[1] ?? "");
    expect(await readBy(bench, "wiki")).toBe("second");
  });
});

describe("holdfast", () => {
  when("volume rm: back as it was", async () => {
    await comesBack(bench, {
      name: "own",
      by: (await ownProgram()) ?? "",
      how: () => holdfast(bench, "volume", "rm", "own"),
    });
    expect(await readBy(bench, "own")).toBe("own");
  });
});

/** What the kernel calls our command line here: bun, or holdfast itself where it is one program. */
async function ownProgram(): Promise<string | undefined> {
  await holdfast(bench, "volume", "create", "probe");
  await holdfast(bench, "volume", "rm", "probe");
  return (await trash(bench)).find(({ name }) => name === "probe")?.removedBy;
}

/** Debian's CLI, and whichever comes first in PATH: often an older and a newer one. */
const programs = [...new Set([Bun.which("docker") ?? "docker", "/usr/bin/docker"])];

for (const program of programs.filter((path) => existsSync(path))) {
  const said = spawnSync(program, ["--version"], { encoding: "utf8" }).stdout;
  const version = /version ([\d.]+)/.exec(said)?.[1] ?? "0";
  const knowsAll = Number(version.split(".")[0]) >= 23;

  describe(`docker CLI ${version} on Holdfast's own socket`, () => {
    for (const words of [["rm"], ["rm", "-f"]]) {
      when(`volume ${words.join(" ")}`, () =>
        comesBack(bench, {
          name: "cli",
          by: "docker",
          how: async () => {
            const ended = await onOwnSocket(bench, program, "volume", ...words, "cli");
            expect(ended).toEqual({ exit: 0, stdout: "cli\n", stderr: "" });
          },
        }).then(async () => {
          expect(await readBy(bench, "cli")).toBe("cli");
          await holdfast(bench, "volume", "rm", "--purge", "--yes", "cli");
        }),
      );
    }

    when("volume prune: what it takes comes back, and no space is said to be free", async () => {
      const made = await onOwnSocket(bench, program, "volume", "create");
      const anonymous = made.stdout.trim();
      await holdfast(bench, "volume", "create", "named");
      for (const name of ["named", anonymous]) fill(bench, name);
      const { stdout } = await onOwnSocket(bench, program, "volume", "prune", "-f");
      expect(stdout).toStartWith("Deleted Volumes:\n");
      expect(stdout).toEndWith("\n\nTotal reclaimed space: 0B\n");
      expect(stayMs(await keptAs(bench, anonymous))).toBe(dayMs);
      await holdfast(bench, "trash", "restore", anonymous);
      expect(await readBy(bench, anonymous)).toBe(anonymous);
      await holdfast(bench, "volume", "rm", "--purge", "--yes", anonymous);
      // Before API 1.42 every prune is one of named volumes too.
      if (knowsAll) await holdfast(bench, "volume", "rm", "named");
      else expect((await keptAs(bench, "named")).removedBy).toBe("docker");
      await holdfast(bench, "trash", "restore", "named");
      await holdfast(bench, "volume", "rm", "--purge", "--yes", "named");
    });

    if (!knowsAll) {
      skipLoudly("volume prune -a", `docker CLI ${version} has no -a`, () => undefined);
      return;
    }
    when("volume prune -a", async () => {
      await holdfast(bench, "volume", "create", "all");
      fill(bench, "all");
      const { stdout } = await onOwnSocket(bench, program, "volume", "prune", "-a", "-f");
      expect(stdout).toContain("\nall\n");
      expect((await keptAs(bench, "all")).removedBy).toBe("docker");
      await holdfast(bench, "trash", "restore", "all");
      expect(await readBy(bench, "all")).toBe("all");
    });
  });
}
