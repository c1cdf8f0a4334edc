// docs/drivers/local.md against the driver: its options, what they need, its conformance figure.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkLocalOptions, knownOptions, localMount } from "../../src/drivers/local/options.ts";
import { sourceRoot } from "../../tools/source-root.ts";
import { runToEnd } from "../support/child.ts";
import { holdfastCommand, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";

const page = readFileSync(join(sourceRoot, "docs/drivers/local.md"), "utf8");

/** The rows of the table of options: name, and the options that it needs. */
const rows = [...page.matchAll(/^\| `(\w+)` \|.*\|([^|]*)\|$/gm)].map(([, name = "", needs]) => ({
  name,
  needs: [...(needs ?? "").matchAll(/`(\w+)`/g)].map(([, other = ""]) => other),
}));

/** A value that each option takes. */
const samples: Readonly<Record<string, string>> = {
  type: "tmpfs",
  device: "tmpfs",
  o: "ro",
  size: "0",
};

function given(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, samples[name] ?? ""]));
}

test("the page has every option of the driver, and no other", () => {
  expect(rows.map(({ name }) => name).toSorted()).toEqual([...knownOptions].toSorted());
});

describe("an option is refused without what the page says it needs, and taken with it", () => {
  test.each(rows)("$name", ({ name, needs }) => {
    checkLocalOptions(given([name, ...needs]));
    for (const missing of needs) {
      const rest = needs.filter((other) => other !== missing);
      expect(() => checkLocalOptions(given([name, ...rest]))).toThrow(missing);
    }
  });
});

test("an NFS server in `o` is the same as one in `device`", () => {
  const server = { type: "nfs", o: "addr=192.0.2.7,ro", device: ":/export" };
  expect(localMount(server)?.device).toBe("192.0.2.7:/export");
  expect(localMount({ ...server, o: "ro,addr=fe80::1" })?.device).toBe("[fe80::1]:/export");
  expect(localMount({ ...server, device: "nas:/export" })?.device).toBe("nas:/export");
  expect(localMount({ ...server, type: "cifs" })?.device).toBe(":/export");
});

whenPossible(["root"], "the conformance figure is what `verify driver local` finds", async () => {
  const [program, ...first] = holdfastCommand();
  const root = temporaryDirectory();
  const words = [...first, "verify", "driver", "local", "--root", root];
  const { stdout } = await runToEnd(program, words, { timeoutMs: 60_000 });
  const figure = stdout.trim().split("\n").at(-1) ?? "";
  expect(figure).toStartWith("driver local: ");
  expect(page).toInclude(figure);
});
