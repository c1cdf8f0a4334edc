// Publishing to storage that cannot exchange directories: sshfs, with a real sshd.
import { expect } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSshServer } from "../support/labs/ssh-server.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { madeDirectory, PublishBench, passing, siteParts } from "./bench.ts";

const requirements: readonly Requirement[] = ["root", "mount", "fuse", "sshfs", "sshd"];

whenPossible(
  requirements,
  "a symbolic link is moved, and a directory gives way to one only when that is asked for",
  async () => {
    await using bench = new PublishBench();
    await bench.start();
    const exported = join(bench.folder, "exported");
    mkdirSync(join(exported, "made/sub"), { recursive: true });
    writeFileSync(join(exported, "made/a"), "by hand\n");
    await using server = await startSshServer(join(bench.folder, "ssh"));
    await bench.holdfast("secret", "create", "nas", join(server.folder, "user"));
    const [kind, key] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
    const made = await bench.holdfast(
      ...["volume", "create", "-d", "sshfs", "-o", "host=root@127.0.0.1"],
      ...["-o", `port=${server.port}`, "-o", `path=${exported}`, "-o", "secret=nas"],
      ...["-o", `host-key=${kind} ${key}`, "files"],
    );
    expect(made).toMatchObject({ exit: 0, stderr: "" });
    const version = (name: string) =>
      readFileSync(join(exported, name, "a"), "utf8").split("\n")[0] ?? "";
    for (const [number, kept] of [
      [1, 0],
      [2, 1],
      [3, 1],
    ] as const) {
      expect(await bench.put("files:/www", siteParts(number))).toMatchObject({
        ...{ status: 200, method: "link", kept },
      });
      expect(version("www")).toBe(`version ${number}`);
    }
    expect(lstatSync(join(exported, "www")).isSymbolicLink()).toBe(true);
    expect(await bench.rollBack("files:/www")).toMatchObject({ method: "link" });
    expect(version("www")).toBe("version 2");
    const refused = await bench.put("files:/made", siteParts(1));
    expect(refused).toMatchObject({ status: 501, code: "publish.not_atomic" });
    expect(version("made")).toBe("by hand");
    const gap = { allowGap: "true" };
    expect(await bench.put("files:/made", siteParts(1), gap)).toMatchObject({ method: "convert" });
    expect(version("made")).toBe("version 1");
    expect(await bench.put("files:/made", siteParts(2))).toMatchObject({ method: "link" });
    expect(await bench.rollBack("files:/made")).toMatchObject({ status: 200 });
    expect([version("made"), passing(exported)]).toEqual(["version 1", []]);
    // Two links with a tree each, and one kept tree with its link for each.
    expect(readdirSync(exported).filter((name) => name.startsWith(".holdfast-"))).toHaveLength(6);
  },
  60_000,
);

whenPossible(
  ["root", "mount"],
  "what lies in a lower layer of an overlay stays, and nothing is left beside it",
  async () => {
    await using bench = new PublishBench();
    await bench.start();
    const [lower, upper, work] = ["lower", "upper", "work"].map((name) =>
      madeDirectory(bench.folder, name),
    );
    mkdirSync(join(lower ?? "", "www"));
    writeFileSync(join(lower ?? "", "www/a"), "by hand\n");
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    await bench.createVolume("layers", "type=overlay", "device=overlay", `o=${layers}`);
    expect(await bench.put("layers:/www", siteParts(1))).toMatchObject({
      ...{ status: 409, code: "publish.target_unfit" },
    });
    expect(readdirSync(upper ?? "").filter((name) => name.startsWith(".holdfast-"))).toEqual([]);
    expect(await bench.put("layers:/new", siteParts(1))).toMatchObject({ method: "create" });
    expect(await bench.put("layers:/new", siteParts(2))).toMatchObject({ method: "exchange" });
  },
  60_000,
);
