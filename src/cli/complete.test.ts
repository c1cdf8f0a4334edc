// Completion behind `-o`: names of options, their values, and the words as bash takes them apart.
import { expect, test } from "bun:test";
import { FakeDaemon, json, runWords } from "../../test/support/fake-daemon.ts";

const option = { isRequired: false, default: null, rule: null };
const drivers = [
  { name: "local", kind: "built in", summary: "", options: [] },
  {
    ...{ name: "nfs", kind: "built in", summary: "" },
    options: [
      { ...option, name: "server", value: "HOST", help: "The server" },
      { ...option, name: "secret", value: "NAME", help: "Its password" },
      { ...option, name: "on-timeout", value: "wait|fail", help: "" },
    ],
  },
];

async function complete(...words: string[]): Promise<readonly string[]> {
  await using daemon = await FakeDaemon.start(({ path }) => {
    if (path.endsWith("/drivers")) return json({ drivers });
    if (path.endsWith("/secrets")) return json({ secrets: [{ name: "nas" }, { name: "office" }] });
    if (path.endsWith("/volumes/media")) return json({ Name: "media", Driver: "nfs" });
    if (path.endsWith("/volumes")) return json({ Volumes: [{ Name: "media" }] });
    return json({ message: "no" }, 404);
  });
  const { stdout } = await runWords(["__complete", "volume", ...words], daemon.host);
  const lines = stdout.split("\n").slice(0, -1);
  return lines.map((line) => line.split("\t")[0] ?? "");
}

const nfs = ["create", "-d", "nfs", "-o"];

test("values of an option are names of secrets, or its choice", async () => {
  expect(await complete(...nfs, "se")).toEqual(["server=", "secret="]);
  expect(await complete(...nfs, "secret=")).toEqual(["secret=nas", "secret=office"]);
  expect(await complete(...nfs, "secret=o")).toEqual(["secret=office"]);
  expect(await complete(...nfs, "on-timeout=")).toEqual(["on-timeout=wait", "on-timeout=fail"]);
  expect(await complete(...nfs, "server=")).toEqual([]);
  expect(await complete(...nfs, "reclaim=d")).toEqual(["reclaim=delete"]);
});

test("an update knows the options of its volume's driver, and those of all", async () => {
  expect(await complete("update", "media", "-o", "o")).toEqual([
    ...["on-timeout=", "owner=", "on-stale="],
  ]);
  const note = ["update", "--note", "media", "-o", "on"];
  expect(await complete(...note)).toEqual(["on-stale="]);
  expect(await complete("update", "gone", "-o", "on")).toEqual(["on-stale="]);
});

test("bash takes words apart at a `=`, and replaces what is behind it", async () => {
  expect(await complete(...nfs, "secret", "=")).toEqual(["nas", "office"]);
  expect(await complete(...nfs, "secret", "=", "o")).toEqual(["office"]);
  expect(await complete(...nfs, "server", "=", "nas.lan", "-o", "on-t")).toEqual(["on-timeout="]);
});

test("a publish wants a directory of the shell first, and then a place in a volume", async () => {
  expect(await complete("publish", "")).toEqual([]);
  expect(await complete("publish", "--keep", "3", "m")).toEqual([]);
  expect(await complete("publish", "site", "")).toEqual(["media:/"]);
  expect(await complete("publish", "--keep", "3", "-", "m")).toEqual(["media:/"]);
  expect(await complete("publish", "--rollback", "")).toEqual(["media:/"]);
});
