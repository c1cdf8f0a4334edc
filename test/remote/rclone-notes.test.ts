// rclone dies while it writes its note of a file: what was written is sent all the same.
import { expect } from "bun:test";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { heal, killRounds, notesOf, rcloneOnWebdav, writeSafely } from "../support/rclone-kills.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;

whenPossible(
  needed,
  "files whose notes are empty or gone are on the server after the healing",
  async () => {
    const { server, bench } = await rcloneOnWebdav("3600");
    await using _server = server;
    await using volume = bench;
    const old = Buffer.alloc(3_000_000, "old ");
    for (const name of ["base", "read", "longer"]) writeFileSync(join(server.folder, name), old);
    await volume.mount();
    mkdirSync(join(volume.target, "d"));
    const written = {
      base: Buffer.alloc(500_000, "over the old"),
      fresh: Buffer.alloc(200_000, "fresh"),
      longer: Buffer.alloc(4_000_000, "longer"),
      "d/unnoted": Buffer.from("whose note was not renamed with it"),
      "d/empty": Buffer.alloc(0),
    };
    for (const [name, content] of Object.entries(written)) {
      writeSafely(join(volume.target, name), content);
    }
    const read = openSync(join(volume.target, "read"), "r");
    readSync(read, Buffer.alloc(1_000), 0, 1_000, 0);
    closeSync(read);
    const isNoted = (path: string) => /"Dirty": (true|false)/.test(readFileSync(path, "utf8"));
    await eventually(
      () => {
        const notes = notesOf(volume);
        return (notes.length === 6 && notes.every(isNoted)) || undefined;
      },
      { timeoutMs: 10_000, otherwise: () => `rclone has noted ${notesOf(volume).join(", ")}` },
    );
    process.kill(volume.pid(), "SIGKILL");
    await heal(volume, () => {
      for (const path of notesOf(volume)) {
        if (path.endsWith("unnoted")) rmSync(path);
        else truncateSync(path);
      }
    });
    for (const [name, content] of Object.entries({ ...written, read: old })) {
      expect([name, readFileSync(join(server.folder, name)).equals(content)]).toEqual([name, true]);
    }
    expect(await volume.look()).toMatchObject({ unsaved: { fileCount: 0 } });
    expect((await volume.look()).degraded).toBeUndefined();
  },
  60_000,
);

whenPossible(
  needed,
  "rclone is killed within 20 ms of a close: all of it is on the server",
  async () => {
    await killRounds(5);
  },
  60_000,
);
