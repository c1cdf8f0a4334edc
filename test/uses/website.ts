// Static files on a volume: one container publishes them by rename, three nginx serve them.
//
// Every page says which release it is of and how long it is, and ends with a checksum of itself, so
// one that is torn, mixed or cut off is seen by who loads it.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import type { Requirement } from "../support/needs.ts";
import { loadProgramImage } from "../support/program-image.ts";
import { imageUserId, testImage } from "../support/test-image.ts";
import { nginxImage } from "./images.ts";

export const needsOfWebsite: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox", "nginx"] as const),
];

export const siteVolume = "site";
export const socketVolume = "sockets";
export const servers = ["web1", "web2", "web3"] as const;

const startTimeoutMs = 20_000;
const place = ["--network", "none", "--user", `${imageUserId}:${imageUserId}`];

/** A page that is replaced as a file, and one in a directory that is replaced as a whole. */
const pages = ["/page.html", "/current/page.html"] as const;

/**
 * `publish FIRST LAST` makes these releases, one after the other. Old ones stay for a while: who
 * has read where `current` leads opens a file there a moment later.
 */
const publishScript = `set -e
cd /site
n=$1
while [ $n -le $2 ]; do
  mkdir -p releases/$n
  body=$(seq $((n % 700 + 50)) | sed "s/^/release $n line /")
  sum=$(echo "$body" | busybox sha256sum)
  { echo "$body"; echo "sha256 \${sum%% *}"; } > releases/$n/page.html
  cp releases/$n/page.html page.new
  mv page.new page.html
  ln -s releases/$n current.new
  busybox mv -T current.new current
  rm -rf releases/$((n - 20))
  n=$((n + 1))
done
`;

/** Not how it is done: the page is written where readers already look. */
const overwriteScript = `cd /site
n=$1
while [ $n -le $2 ]; do
  cat releases/*/page.html > page.html
  n=$((n + 1))
done
`;

/**
 * The volumes, the publisher with its first release, and the servers, which answer. `sharing` is
 * the site's.
 */
export async function openWebsite(bench: HoldsBench, sharing = "onewriter"): Promise<void> {
  await loadProgramImage(bench.dockerd.docker, nginxImage());
  const owner = `owner=${imageUserId}:${imageUserId}`;
  await bench.createVolume(siteVolume, `sharing=${sharing}`, owner);
  await bench.createVolume(socketVolume, owner);
  await bench.docker(
    ...["run", "-d", "--name", "publisher", ...place, "-v", `${siteVolume}:/site`],
    ...[testImage, "sleep", "10000"],
  );
  await publish(bench, 1, 1);
  for (const name of servers) await startServer(bench, name);
}

/** Starts one of `servers`; resolves when it answers. */
export async function startServer(bench: HoldsBench, name: string): Promise<void> {
  const server = `server { listen unix:/sockets/${name}.sock; root /site; }`;
  // The socket of an earlier life stays, and nobody can bind it again.
  const prepare = `umask 0; rm -f /sockets/${name}.sock`;
  const configure = `echo '${server}' > /tmp/listen.conf`;
  const command = `${prepare}; ${configure}; exec nginx -c /etc/nginx/nginx.conf`;
  await bench.docker(
    ...["run", "-d", "--name", name, ...place, "-v", `${siteVolume}:/site:ro`],
    ...["-v", `${socketVolume}:/sockets`, nginxImage().name, "/bin/sh", "-c", command],
  );
  const socket = socketOf(bench, name);
  await eventually(
    () =>
      fetch("http://web/page.html", { unix: socket }).then(
        () => true,
        () => undefined,
      ),
    { timeoutMs: startTimeoutMs, otherwise: () => `${name} does not answer` },
  );
}

/** Publishes releases by rename; resolves when all are there. */
export async function publish(bench: HoldsBench, first: number, last: number): Promise<void> {
  await runScript(bench, publishScript, first, last);
}

/** Publishes as nobody should: for the test of the test. */
export async function overwrite(bench: HoldsBench, first: number, last: number): Promise<void> {
  await runScript(bench, overwriteScript, first, last);
}

async function runScript(
  bench: HoldsBench,
  script: string,
  first: number,
  last: number,
): Promise<void> {
  const words = ["/bin/sh", "-c", script, "publish", String(first), String(last)];
  await bench.docker("exec", "publisher", ...words);
}

export interface Visit {
  loads: number;
  /** The releases that were seen. */
  readonly releases: Set<string>;
  /** What was wrong with a page, one sentence each. */
  readonly faults: string[];
}

/** Loads all pages from all servers, again and again, until the work is done. */
export async function visitDuring(bench: HoldsBench, work: Promise<void>): Promise<Visit> {
  const visit: Visit = { loads: 0, releases: new Set(), faults: [] };
  let isDone = false;
  const visitors = servers.map(async (name) => {
    while (!isDone) {
      for (const page of pages) await visitPage(bench, name, page, visit);
    }
  });
  try {
    await work;
  } finally {
    isDone = true;
    await Promise.all(visitors);
  }
  return visit;
}

async function visitPage(
  bench: HoldsBench,
  name: string,
  page: string,
  visit: Visit,
): Promise<void> {
  const { fault, release } = await load(socketOf(bench, name), page);
  visit.loads += 1;
  if (fault !== undefined) visit.faults.push(`${name}${page}: ${fault}`);
  if (release !== undefined) visit.releases.add(release);
}

async function load(
  unix: string,
  page: string,
): Promise<{ readonly fault: string | undefined; readonly release?: string | undefined }> {
  try {
    const answer = await fetch(`http://web${page}`, { unix });
    const text = await answer.text();
    const fault = answer.status === 200 ? faultOf(text) : `status ${answer.status}`;
    return { fault, release: /^release (\d+)/.exec(text)?.[1] };
  } catch (error) {
    // nginx closes the connection when a file becomes shorter than it was when it was opened.
    return { fault: String(error) };
  }
}

/** What is wrong with a page; undefined: nothing. */
function faultOf(text: string): string | undefined {
  const [, body = "", sum] = /^(.*\n)sha256 ([0-9a-f]{64})\n$/s.exec(text) ?? [];
  if (sum === undefined) return `it has no end (${text.length} characters)`;
  const actual = createHash("sha256").update(body).digest("hex");
  return actual === sum ? undefined : `it is not what was published (${text.length} characters)`;
}

/** Through the volume's own directory: there is no network. */
function socketOf(bench: HoldsBench, name: string): string {
  return join(bench.root, "volumes", socketVolume, "_data", `${name}.sock`);
}
