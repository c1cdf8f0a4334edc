// The kernel's word on who calls.
import { expect, test } from "bun:test";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { type Peer, peerOf, startOfPeer } from "./peer.ts";
import { processStart } from "./processes.ts";

/** node:net has no public word for the descriptor of a connection. */
function descriptorOf(socket: Socket): number {
  const { _handle } = socket as unknown as { readonly _handle: { readonly fd: number } };
  return _handle.fd;
}

/** Runs a client and returns what the kernel says of it, and its pid. */
async function connectWith(command: (path: string) => string[]) {
  const folder = mkdtempSync("/dev/shm/holdfast-peer-");
  const path = join(folder, "socket");
  const { promise, resolve } = Promise.withResolvers<Peer | undefined>();
  const server = createServer((socket) => {
    resolve(peerOf(descriptorOf(socket)));
    socket.destroy();
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  const client = Bun.spawn(command(path), { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const peer = await promise;
  await client.exited;
  server.close();
  rmSync(folder, { recursive: true, force: true });
  return { peer, pid: client.pid };
}

function client(path: string): string[] {
  return [process.execPath, "-e", `require("node:net").connect(${JSON.stringify(path)})`];
}

test("tells user, group and process of a caller", async () => {
  const { peer, pid } = await connectWith(client);
  expect(peer).toEqual({ uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1, pid });
});

whenPossible(["root"], "tells another user and group from ours", async () => {
  const { peer, pid } = await connectWith((path) => {
    chmodSync(join(path, ".."), 0o755);
    chmodSync(path, 0o666);
    const code = "socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0]))";
    const perl = ["perl", "-MSocket", "-e", code, path];
    return ["setpriv", "--reuid=4294967294", "--regid=1234", "--clear-groups", ...perl];
  });
  expect(peer).toEqual({ uid: 4294967294, gid: 1234, pid });
});

test("knows nobody behind what is no Unix connection", () => {
  const descriptor = openSync("/dev/null", "r");
  expect(peerOf(descriptor)).toBeUndefined();
  closeSync(descriptor);
  expect(peerOf(1_000_000)).toBeUndefined();
});

test("tells when the process began that connected; nothing of one that handed it on", async () => {
  const folder = mkdtempSync("/dev/shm/holdfast-peer-");
  const path = join(folder, "socket");
  const accepted: Socket[] = [];
  const { promise: both, resolve } = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    accepted.push(socket);
    if (accepted.length === 2) resolve();
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  const living = await new Promise<Socket>((connected) => {
    const socket = connect(path, () => connected(socket));
  });
  // It hands its connection to a child, and ends.
  const making = "socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0]))";
  const code = `${making}; fork or sysread S, my $end, 1`;
  const handing = Bun.spawn(["perl", "-MSocket", "-e", code, path], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await both;
  await handing.exited;
  const starts = accepted.map((socket) => {
    const descriptor = descriptorOf(socket);
    return startOfPeer(descriptor, peerOf(descriptor)?.pid ?? 0);
  });
  expect(starts).toEqual([processStart(process.pid), undefined]);
  living.destroy();
  for (const socket of accepted) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
