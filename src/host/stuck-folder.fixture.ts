// A folder whose storage has stopped answering: FUSE requests are read, and that is all.
import { closeSync, constants, mkdtempSync, openSync, read, rmdirSync, writeSync } from "node:fs";

export interface StuckFolder extends AsyncDisposable {
  /** Whoever looks below it waits in the kernel and cannot be killed. */
  readonly path: string;
  /** Resolves when the first request has been read: from then on its process is stuck. */
  untilAsked(): Promise<void>;
  /** Ends the connection: all that wait get an error. */
  release(): void;
}

/** <linux/fuse.h>: fuse_in_header is 40 bytes, fuse_init_out 64 behind a header of 16. */
const REQUEST_BYTES_MAX = 256 * 1024;
const OPCODE_INIT = 26;
const OPCODES_STUCK = new Set([1, 3, 17]); // lookup, getattr, statfs

export async function makeStuckFolder(): Promise<StuckFolder> {
  const path = mkdtempSync("/dev/shm/holdfast-stuck-");
  let descriptor: number | undefined = openSync("/dev/fuse", constants.O_RDWR);
  const options = "fd=3,rootmode=40000,user_id=0,group_id=0";
  const mount = Bun.spawn(["mount", "-i", "-t", "fuse", "-o", options, "--", "stuck", path], {
    stdio: ["ignore", "ignore", "pipe", descriptor],
  });
  if ((await mount.exited) !== 0) throw new Error(await new Response(mount.stderr).text());

  const asked = Promise.withResolvers<void>();
  const buffer = Buffer.alloc(REQUEST_BYTES_MAX);
  const readNext = () => {
    if (descriptor === undefined) return;
    read(descriptor, buffer, 0, buffer.length, null, (error) => {
      if (error !== null || descriptor === undefined) return;
      const opcode = buffer.readUInt32LE(4);
      if (opcode === OPCODE_INIT) writeSync(descriptor, initReply(buffer.readBigUInt64LE(8)));
      if (OPCODES_STUCK.has(opcode)) asked.resolve();
      else readNext();
    });
  };
  readNext();

  const release = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    path,
    untilAsked: () => asked.promise,
    release,
    async [Symbol.asyncDispose]() {
      release();
      const unmount = ["umount", "-l", "--no-canonicalize", "--", path];
      // A test may have unmounted it.
      await Bun.spawn(unmount, { stderr: "ignore" }).exited;
      rmdirSync(path);
    },
  };
}

function initReply(unique: bigint): Buffer {
  const reply = Buffer.alloc(16 + 64);
  reply.writeUInt32LE(reply.length, 0);
  reply.writeBigUInt64LE(unique, 8);
  reply.writeUInt32LE(7, 16);
  reply.writeUInt32LE(31, 20);
  reply.writeUInt16LE(12, 32);
  reply.writeUInt16LE(9, 34);
  reply.writeUInt32LE(4096, 36);
  reply.writeUInt32LE(1, 40);
  return reply;
}
