// A real S3 server on loopback: radosgw, before a Ceph of one monitor, manager and disk in memory.
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../child.ts";
import { temporaryDirectory } from "../daemon.ts";
import { freePort, type ServerSwitches, startServer } from "./server-process.ts";

/** The only user. */
export const S3_KEY_ID = "AKIAOFTHELAB";
export const S3_KEY = "of-the-bucket-7";

const toolTimeoutMs = 60_000;
const startTimeoutMs = 120_000;

export interface RadosgwServer extends AsyncDisposable {
  readonly url: string;
  /** Of radosgw alone: what it keeps outlives it. */
  readonly gateway: ServerSwitches;
}

/** Starts all of it, in some 20 s. Needs radosgw, as root. */
export async function startRadosgwServer(): Promise<RadosgwServer> {
  const own = temporaryDirectory();
  await using started = new AsyncDisposableStack();
  started.defer(() => rmSync(own, { recursive: true, force: true }));
  const config = join(own, "ceph.conf");
  const keyring = join(own, "keyring");
  const monitor = `[v2:127.0.0.1:${freePort()},v1:127.0.0.1:${freePort()}]`;
  const url = `http://127.0.0.1:${freePort()}`;
  const fsid = crypto.randomUUID();
  for (const name of ["mon.a", "mgr.a", "osd.0", "rgw", "run"]) mkdirSync(join(own, name));
  writeFileSync(config, configuration({ own, fsid, monitor, url }));

  const tool = async (program: string, ...words: readonly string[]): Promise<string> => {
    const all = ["-c", config, ...words];
    const ended = await runToEnd(program, all, { timeoutMs: toolTimeoutMs });
    if (ended.exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${ended.stderr}`);
    return ended.stdout;
  };
  const serve = async (program: string, ...words: readonly string[]): Promise<ServerSwitches> => {
    const command = (): readonly [string, ...string[]] => [program, "-c", config, "-f", ...words];
    return started.use(await startServer({ command, isEntered: false, isReady: () => true }));
  };
  const give = async (name: string, ...caps: readonly string[]): Promise<void> => {
    appendFileSync(keyring, await tool("ceph", "auth", "get-or-create", name, ...caps));
  };

  const all = (part: string) => ["--cap", part, "allow *"];
  await tool("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", ...all("mon"));
  const admin = ["--gen-key", "-n", "client.admin", ...["mon", "osd", "mgr"].flatMap(all)];
  await tool("ceph-authtool", keyring, ...admin);
  const map = join(own, "monmap");
  await tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, map);
  await tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring);
  await serve("ceph-mon", "-i", "a");
  await give("mgr.a", "mon", "allow profile mgr", "osd", "allow *");
  await give("client.rgw.a", "mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw");
  await serve("ceph-mgr", "-i", "a");
  const disk = crypto.randomUUID();
  await tool("ceph", "osd", "new", disk);
  await give("osd.0", "mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *");
  await tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk);
  await serve("ceph-osd", "-i", "0");
  const gateway = await serve("radosgw", "-i", "a", "-n", "client.rgw.a");
  await eventually(async () => ((await answers(url)) ? true : undefined), {
    timeoutMs: startTimeoutMs,
    otherwise: () => `radosgw does not answer at ${url}`,
  });
  const keys = [`--access-key=${S3_KEY_ID}`, `--secret-key=${S3_KEY}`];
  await tool("radosgw-admin", "user", "create", "--uid=lab", "--display-name=lab", ...keys);
  const kept = started.move();
  return { url, gateway, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(1_000) })).text();
    return true;
  } catch {
    return false;
  }
}

interface Places {
  readonly own: string;
  readonly fsid: string;
  readonly monitor: string;
  readonly url: string;
}

/** One of everything, nothing outside of its own directory. */
function configuration({ own, fsid, monitor, url }: Places): string {
  return `[global]
fsid = ${fsid}
mon host = ${monitor}
mon initial members = a
public network = 127.0.0.0/8
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default pg num = 8
osd objectstore = bluestore
bluestore block size = 2147483648
bluestore block create = true
osd memory target = 939524096
log file = ${own}/$name.log
pid file = ${own}/run/$name.pid
admin socket = ${own}/run/$name.asok
run dir = ${own}/run
keyring = ${own}/keyring
mon data = ${own}/mon.$id
mgr data = ${own}/mgr.$id
osd data = ${own}/osd.$id
ms bind ipv6 = false
mgr initial modules =
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
[client.rgw.a]
rgw frontends = beast endpoint=${new URL(url).host}
rgw data = ${own}/rgw
`;
}
