// Brings node_modules into the state of package-lock.json and answers where Bun is.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. */
export const sourceRoot = dirname(dirname(fileURLToPath(import.meta.url)));

const oldestNode = 20;

/** The npm package of Bun has a placeholder of some hundred bytes until its install script ran. */
const smallestBunBytes = 1_048_576;

/** Holds the hash of the lockfile that was installed last. */
const record = join(sourceRoot, "node_modules", ".holdfast-setup");
const npmRecord = join(sourceRoot, "node_modules", ".package-lock.json");

/**
 * Installs what package-lock.json says, when that is not what is installed. Ends the process with a
 * sentence on stderr when it cannot.
 *
 * @returns {string} the path of the Bun executable
 */
export function setUp() {
  if (Number(process.versions.node.split(".")[0]) < oldestNode) {
    giveUp(`Node ${oldestNode} or newer is needed, this is ${process.versions.node}`);
  }
  const lockfile = readFileSync(join(sourceRoot, "package-lock.json"));
  const wanted = createHash("sha256").update(lockfile).digest("hex");
  if (!existsSync(record) || readFileSync(record, "utf8").trim() !== wanted) {
    if (!isInstalled(lockfile.toString())) install();
    writeFileSync(record, `${wanted}\n`);
  }
  if (findBun() === undefined) placeBun();
  return findBun() ?? giveUp("npm has no Bun for this machine, or its install script failed");
}

/**
 * True when npm's own record of node_modules has every package of the lockfile, as after somebody's
 * `npm install`. npm writes that record last, so a half-made folder has none.
 *
 * @param {string} lockfile
 */
function isInstalled(lockfile) {
  if (!existsSync(npmRecord)) return false;
  const wanted = JSON.parse(lockfile).packages;
  const installed = JSON.parse(readFileSync(npmRecord, "utf8")).packages;
  // What is optional may be meant for another platform.
  return Object.keys(wanted).every(
    (name) =>
      name === "" ||
      wanted[name].optional === true ||
      wanted[name].integrity === installed[name]?.integrity,
  );
}

function install() {
  console.error("set-up: installing npm packages (npm ci)");
  // As root no install script of any package is run; Bun's own is run by name, below.
  const { status, error } = spawnSync(
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    {
      cwd: sourceRoot,
      stdio: ["ignore", 2, 2],
    },
  );
  if (error !== undefined) giveUp(`npm does not start: ${error.message}`);
  if (status !== 0) giveUp("npm ci failed; its own words are above");
  placeBun();
}

/**
 * Bun's install script moves the executable of the right platform to where the link in
 * node_modules/.bin points; until then a placeholder is there.
 */
function placeBun() {
  const script = join(sourceRoot, "node_modules", "bun", "install.js");
  spawnSync(process.execPath, [script], { cwd: dirname(script), stdio: ["ignore", 2, 2] });
}

/** @returns {string | undefined} */
function findBun() {
  const path = join(sourceRoot, "node_modules", "bun", "bin", "bun.exe");
  return existsSync(path) && statSync(path).size > smallestBunBytes ? path : undefined;
}

/**
 * @param {string} why
 * @returns {never}
 */
function giveUp(why) {
  console.error(`set-up: ${why}`);
  process.exit(1);
}
