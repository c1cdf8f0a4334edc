// What a service manager hands to a daemon: sockets that are open already, and a place for news.
import { readFileSync } from "node:fs";
import { sendDatagram } from "./libc.ts";

type Environment = Record<string, string | undefined>;

const AF_UNIX = 1;

/** sun_path of unix(7), in bytes. */
const SOCKET_PATH_BYTES_MAX = 108;

/** sd_listen_fds(3): the first descriptor that is handed over. */
const FIRST_DESCRIPTOR = 3;

/** More than any unit file names; a wrong number must not make us listen on our own files. */
const LISTENERS_MAX = 64;

/**
 * Tells the service manager, for example `READY=1` (sd_notify(3)). False when none is listening.
 * Never waits; throws an Error with a code when the socket does not take it, which is no reason to
 * stop: the caller logs it.
 */
export function sdNotify(message: string, environment: Environment = process.env): boolean {
  const address = environment["NOTIFY_SOCKET"];
  if (address === undefined || address === "") return false;
  sendDatagram(socketAddress(address), new TextEncoder().encode(message));
  return true;
}

/** A sockaddr_un. An abstract name begins with "@" for us, with a zero byte for the kernel. */
function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith("@");
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (!(isAbstract || address.startsWith("/")) || path.byteLength > SOCKET_PATH_BYTES_MAX) {
    throw new TypeError(`NOTIFY_SOCKET is no path of a socket: ${address}`);
  }
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
  return Buffer.concat([family, path]);
}

/** What systemd calls a socket whose unit gives it no name, and all of them before version 227. */
const UNNAMED = "unknown";

/** A listening socket of systemd's socket activation. */
export interface InheritedListener {
  readonly descriptor: number;
  /** `FileDescriptorName=` of its unit, else the unit's own name; "unknown" when nobody said. */
  readonly name: string;
}

/**
 * The listening sockets of systemd's socket activation, in the order of the unit files. Empty when
 * they were meant for another process. The variables are taken away: no child shall believe them.
 */
export function inheritedListeners(
  environment: Environment = process.env,
  pid = process.pid,
): readonly InheritedListener[] {
  const isOurs = environment["LISTEN_PID"] === String(pid);
  const count = Number(environment["LISTEN_FDS"]);
  const names = (environment["LISTEN_FDNAMES"] ?? "").split(":");
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete environment[name];
  if (!isOurs || !Number.isInteger(count) || count < 1 || count > LISTENERS_MAX) return [];
  return Array.from({ length: count }, (_, index) => ({
    descriptor: FIRST_DESCRIPTOR + index,
    name: names[index] || UNNAMED,
  }));
}

/** A group's number by /etc/group, or undefined. Directory services are not asked: they hang. */
export function groupId(name: string, path = "/etc/group"): number | undefined {
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [group, , id] = line.split(":");
    if (group === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}
