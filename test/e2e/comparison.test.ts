// What may vary between a document and a run, and what may not.
import { describe, expect, test } from "bun:test";
import { commandWords } from "./command-words.ts";
import { differences } from "./comparison.ts";
import { screenLines } from "./screen.ts";
import { ShownIds } from "./shown-ids.ts";

const heading = "ID        NAME      SIZE      REMOVED          BY        PURGES";
const row = "t-9f2     pgdata    4.2MB     2 minutes ago    dockerd   in 7 days";

describe("of the trash, of plans and of the history", () => {
  const same: readonly (readonly [shown: string, is: string])[] = [
    [row, "t-0123    pgdata    4.2MB     1 second ago     dockerd   in 7 days"],
    ["until 2026-11-29 11:07 UTC: x", "until 2027-01-02 03:04 UTC: x"],
    ["holdfast volume prune --apply p-7f3a1b", "holdfast volume prune --apply p-000000"],
    ["c-4 rename", "c-17 rename"],
    ["update    holdfast (root)   note", "update    holdfast (kim)    note"],
    ["pgdata    disks     UNREACHABLE 2s (no)   -", "pgdata    disks     UNREACHABLE 12m (no)   -"],
    ["   [3ms]  bundle  1 modules", " [1.89s]  bundle  1 modules"],
  ];
  test.each(same)("%s may differ", (shown, is) => {
    expect(differences([shown], is)).toEqual([]);
  });

  const different: readonly (readonly [shown: string, is: string])[] = [
    [row, "t-9f2     pgdata    4.1MB     2 minutes ago    dockerd   in 7 days"],
    [row, "t-9f2     pgdata    4.2MB     2 minutes ago    holdfast  in 7 days"],
    [row, "t-9f2     pgdata    4.2MB     2 minutes ago    dockerd   in 24 hours"],
    [row, "t-9f2     pgdata    -         2 minutes ago    dockerd   in 7 days"],
    [row, "t-9f2     pgdata    4.2MB     never            dockerd   in 7 days"],
    ["t-9f2     pgdata", "t-9       pgdata"],
    ["t-9f2     pgdata", "p-9f2000  pgdata"],
    ["until 2026-11-29 11:07 UTC: x", "until 2026-11-29: x"],
    ["--apply p-7f3a1b", "--apply p-7f3a"],
    ["c-4 rename", "c-4 remove"],
    ["holdfast (root)", "dockerd"],
    ["disks     UNREACHABLE 2s (no)", "disks     DISABLED 2s (no)"],
    ["   [3ms]  bundle  1 modules", "   [3ms]  bundle  2 modules"],
  ];
  test.each(different)("%s is told from %s", (shown, is) => {
    expect(differences([heading, shown], `${heading}\n${is}\n`)).toHaveLength(1);
  });
});

test("`…` stands for as many lines as there are, and for nothing else", () => {
  const shown = ["first", "…", "last"];
  for (const between of ["", "a\n", "a\nb\nc\n"]) {
    expect(differences(shown, `first\n${between}last\n`)).toEqual([]);
  }
  expect(differences(shown, "first\na\nanother\n")).toHaveLength(1);
  expect(differences(shown, "another\na\nlast\n")).toHaveLength(1);
  expect(differences(shown, "first\n")).toHaveLength(1);
});

test("what a program has drawn over is not there any more", () => {
  const drawn =
    "Pulling\r\n\u001b[2K1: Waiting\r\n2: Waiting\r\n" +
    "\u001b[2A\u001b[2K\r1: Complete\r\u001b[2B3: [y/N] \r\u001b[Kdone";
  expect(screenLines(drawn)).toEqual(["Pulling", "1: Complete", "2: Waiting", "done"]);
});

test("a program beside a tour is known by its last word alone", () => {
  expect(commandWords("bun disks.ts /srv/x &")).toEqual(["bun", "disks.ts", "/srv/x", "&"]);
  expect(() => commandWords("bun disks.ts & ls")).toThrow("needs one");
});

describe("ids of a tour", () => {
  test("a command gets those of this run", () => {
    const ids = new ShownIds();
    expect(ids.learn(["t-9f2 wiki", "plan p-7f3a1b"], "t-0ab wiki\nplan p-012345\n")).toEqual([]);
    expect(ids.toOwn(["restore", "t-9f2", "--apply", "p-7f3a1b", "t-fff", "c-1"])).toEqual([
      ...["restore", "t-0ab", "--apply", "p-012345", "t-fff", "c-1"],
    ]);
  });

  test("a shortened one and the whole one are the same", () => {
    const ids = new ShownIds();
    ids.learn(["t-9f2"], "t-0ab");
    expect(ids.learn(["t-9f20000000000000"], "t-0ab1111111111111")).toEqual([]);
    expect(ids.learn(["t-9f20000000000000"], "t-0cd1111111111111")).toHaveLength(1);
  });

  test("one that means two things, and two that mean one, are reported", () => {
    const ids = new ShownIds();
    ids.learn(["c-3 create", "p-000001"], "c-7 create\np-abcdef");
    expect(ids.learn(["c-3 create"], "c-8 create")).toEqual([
      "shown: c-3 where c-3 stood for c-7\n   is: c-8",
    ]);
    expect(ids.learn(["p-000002"], "p-abcdef")).toHaveLength(1);
  });
});
