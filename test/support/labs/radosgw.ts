// A real S3 server on loopback: one Ceph node with a gateway. Large: for nightly tests.
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../child.ts";
import { temporaryDirectory } from "../daemon.ts";
import { freePort, listensOn, type ServerSwitches, startServer } from "./server-process.ts";

export const S3_ACCESS_KEY = "HOLDFASTLAB";
export const S3_SECRET_KEY = "of-the-bucket-7";

const toolTimeoutMs = 60_000;
/** Sparse. */
const diskBytes = 4 * 1024 ** 3;

/** The switches are the gateway's; the cluster behind it goes on. */
export interface Radosgw extends ServerSwitches {
  /** `http://127.0.0.1:PORT`; the user is `S3_ACCESS_KEY` with `S3_SECRET_KEY`. */
  readonly endpoint: string;
}

/** Starts a monitor, a manager, a disk and the gateway; takes about 20 s. Needs root and ceph. */
export async function startRadosgw(): Promise<Radosgw> {
  await using undo = new AsyncDisposableStack();
  const own = temporaryDirectory();
  undo.defer(() => rmSync(own, { recursive: true, force: true }));
  const [monitorPort, port] = [freePort(), freePort()];
  const file = join(own, "ceph.conf");
  const fsid = crypto.randomUUID();
  writeFileSync(file, configuration({ own, fsid, monitorPort, port }));
  for (const name of ["mon.a", "mgr.a", "osd.0", "rgw"]) mkdirSync(join(own, name));
  const keyring = join(own, "keyring");
  const run = async (program: string, ...words: readonly string[]) => {
    const environment = { CEPH_CONF: file };
    const ended = await runToEnd(program, words, { environment, timeoutMs: toolTimeoutMs });
    if (ended.exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${ended.stderr}`);
    return ended.stdout;
  };
  const serve = async (isReady: () => boolean | Promise<boolean>, ...words: readonly string[]) => {
    const [program = "", ...more] = words;
    const command = () => [program, "-f", "-c", file, ...more] as const;
    return undo.use(await startServer({ command, isEntered: false, isReady }));
  };
  await makeMonitor(own, { fsid, monitorPort }, run);
  // Whoever asks before it has a quorum waits for it.
  await serve(() => existsSync(join(own, "mon.a.asok")), "ceph-mon", "-i", "a");
  const grant = async (who: string, ...rights: readonly string[]) => {
    const text = await run("ceph", "auth", "get-or-create", who, ...rights);
    writeFileSync(keyring, text, { flag: "a" });
  };
  await grant("mgr.a", "mon", "allow profile mgr", "osd", "allow *", "mds", "allow *");
  await grant("client.rgw.a", "mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw");
  await serve(() => existsSync(join(own, "mgr.a.asok")), "ceph-mgr", "-i", "a");
  const disk = crypto.randomUUID();
  await run("ceph", "osd", "new", disk);
  await grant("osd.0", "mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *");
  await run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk);
  await serve(() => existsSync(join(own, "osd.0.asok")), "ceph-osd", "-i", "0");
  await eventually(
    async () => ((await run("ceph", "osd", "stat")).includes("1 up") ? true : undefined),
    { timeoutMs: toolTimeoutMs, otherwise: () => "the disk does not come up" },
  );
  const gateway = await startServer({
    command: () => ["radosgw", "-f", "-c", file, "-n", "client.rgw.a"],
    isEntered: false,
    isReady: (pid) => listensOn(pid, port),
    startTimeoutMs: toolTimeoutMs,
  });
  undo.use(gateway);
  await run(
    ...["radosgw-admin", "user", "create", "--uid=holdfast", "--display-name=holdfast"],
    ...[`--access-key=${S3_ACCESS_KEY}`, `--secret-key=${S3_SECRET_KEY}`],
  );
  const rest = undo.move();
  return {
    ...gateway,
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

interface Cluster {
  readonly own: string;
  readonly fsid: string;
  readonly monitorPort: number;
  readonly port: number;
}

async function makeMonitor(
  own: string,
  { fsid, monitorPort }: Pick<Cluster, "fsid" | "monitorPort">,
  run: (program: string, ...words: readonly string[]) => Promise<string>,
): Promise<void> {
  const keyring = join(own, "keyring");
  const map = join(own, "monmap");
  const all = ["mon", "osd", "mds", "mgr"].flatMap((kind) => ["--cap", kind, "allow *"]);
  await run("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *");
  await run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", ...all);
  const address = `[v2:127.0.0.1:${monitorPort}]`;
  await run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, map);
  await run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring);
}

/** One copy of everything, everything below its own directory, nothing but loopback. */
function configuration({ own, fsid, monitorPort, port }: Cluster): string {
  return `[global]
fsid = ${fsid}
mon host = [v2:127.0.0.1:${monitorPort}]
mon initial members = a
public network = 127.0.0.0/8
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
osd objectstore = bluestore
bluestore block size = ${diskBytes}
bluestore block create = true
osd memory target = 939524096
ms bind ipv6 = false
mgr initial modules =
log file = ${own}/$name.log
admin socket = ${own}/$name.asok
run dir = ${own}
keyring = ${own}/keyring
mon data = ${own}/mon.a
mgr data = ${own}/mgr.a
osd data = ${own}/osd.0
[client]
admin socket =
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw data = ${own}/rgw
`;
}
