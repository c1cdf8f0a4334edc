// An upgrade puts another executable in the place of the one that runs: until the daemon is started
// anew, its helpers are what they were.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { holdfastCommand, startDaemon, temporaryDirectory } from "../support/daemon.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a daemon whose executable was replaced has its helpers still", async () => {
  const [program, ...words] = holdfastCommand();
  const executable = join(folder, "holdfast");
  copyFileSync(program, executable);
  await using daemon = await startDaemon({
    root: join(folder, "root"),
    command: [executable, ...words],
  });
  const unix = daemon.socketPath;
  const asked = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ Name: "files" }),
  };
  const created = await fetch("http://holdfast/volumes/create", { ...asked, unix });
  expect(created.status).toBe(201);

  writeFileSync(`${executable}.new`, "#!/bin/false\n", { mode: 0o755 });
  renameSync(`${executable}.new`, executable);

  const doctor = "http://holdfast/holdfast/v1/volumes/files/doctor?quick=true";
  const measured = await (await fetch(doctor, { method: "POST", unix })).text();
  // src/api/holdfast/doctor.ts: lines, of which the last is the report or the failure.
  const { report, error } = JSON.parse(measured.trim().split("\n").at(-1) ?? "{}");
  expect(error).toBeUndefined();
  expect(report.volume).toBe("files");
});
