// A real dockerd that knows a volume by the name that it had before it was renamed.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** Holdfast's own command line; throws with its words unless it ends with 0. */
async function holdfast(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await bench.holdfast(...words);
  if (exit === 0) return stdout;
  throw new Error(`holdfast ${words.join(" ")}: ${exit} ${stderr}`);
}

/** What a container that is thrown away says of a volume's file. */
function fileIn(volume: string): Promise<string> {
  const place = ["run", "--rm", "--network", "none", "-v", `${volume}:/data`];
  return bench.docker(...place, testImage, "cat", "/data/file");
}

describe("a renamed volume", () => {
  when(
    "is the same for containers by both names, and dockerd goes on with the old one",
    async () => {
      await bench.createVolume("orders");
      await bench.run("first", "-v", "orders:/data");
      await bench.docker("exec", "first", "sh", "-c", "echo kept > /data/file");
      const { exit, stderr } = await bench.holdfast(
        "volume",
        "rename",
        "orders",
        "orders-2024",
        "--keep-alias",
      );
      expect([exit === 0, stderr]).toEqual([
        false,
        expect.stringContaining("rename orders: volume is in use - [first (docker, running)]"),
      ]);
      await bench.docker("rm", "-f", "first");
      await bench.holders("orders");
      await holdfast("volume", "rename", "orders", "orders-2024", "--keep-alias");

      await bench.run("second", "-v", "orders:/data");
      expect(await bench.docker("exec", "second", "cat", "/data/file")).toBe("kept");
      await bench.holders("orders-2024", "second running rw");
      expect(await fileIn("orders-2024")).toBe("kept");
      const shown = JSON.parse(await bench.docker("volume", "inspect", "orders"));
      expect(shown).toMatchObject([{ Name: "orders", Status: { "alias-of": "orders-2024" } }]);
      // dockerd knows of a container by the one name, and would remove the volume by the other.
      const refused = await bench.refused("volume", "rm", "orders-2024");
      expect(refused).toContain("volume is in use - [second (docker, running)]");
      expect(await bench.refused("volume", "rm", "orders")).toContain("volume is in use");

      await bench.docker("rm", "-f", "second");
      await bench.holders("orders-2024");
      await bench.docker("volume", "rm", "orders");
      expect(await fileIn("orders-2024")).toBe("kept");
    },
  );

  when("is protected by either name, and says who had it last", async () => {
    await bench.createVolume("wiki");
    await holdfast("volume", "rename", "wiki", "handbook", "--keep-alias");
    await bench.run("editor", "-v", "wiki:/data");
    await bench.holders("handbook", "editor running rw");
    await bench.docker("stop", "editor");
    await bench.docker("rm", "editor");
    await bench.holders("handbook");
    const own = await fetch("http://holdfast/holdfast/v1/volumes/handbook", {
      unix: bench.daemon.socketPath,
    });
    expect(await own.json()).toMatchObject({ lastHolder: "editor" });
    await holdfast("volume", "protect", "handbook", "--reason", "read by everybody");
    const refused = await bench.refused("volume", "rm", "handbook");
    expect(refused).toContain("remove handbook: volume is protected: read by everybody. Lift the");
    await holdfast("volume", "unprotect", "handbook", "--confirm", "handbook");
    await bench.docker("volume", "rm", "handbook");
  });
});
