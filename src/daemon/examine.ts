// `holdfast doctor`: its looks and this machine put together.
import type { DoctorRequest, Finding } from "../core/doctor.ts";
import { toEngineError } from "../core/errors.ts";
import { runLooks } from "../doctor/run-looks.ts";
import { linuxHost } from "../host/linux.ts";
import { type DaemonConfig, readConfig } from "./config.ts";

/** See core/doctor.ts. */
export async function examineHost({ apiSocket }: DoctorRequest): Promise<readonly Finding[]> {
  const userId = process.getuid?.() ?? 0;
  const sources = { args: [], environment: process.env, userId };
  let config: DaemonConfig;
  const findings: Finding[] = [];
  try {
    // HOLDFAST_HOST is of clients here, and may hold what no daemon takes.
    config = readConfig({ ...sources, environment: { ...process.env, HOLDFAST_HOST: "" } });
  } catch (error) {
    const { message, recovery } = toEngineError(error);
    findings.push({ severity: "problem", about: "configuration", found: message, fix: recovery });
    config = readConfig({ args: ["--config", "/dev/null"], environment: {}, userId });
  }
  const found = await runLooks({
    host: linuxHost(),
    userId,
    dataRoot: config.root,
    secretKey: config.secretKey,
    sockets: { api: apiSocket, plugin: config.pluginSocket, docker: "/run/docker.sock" },
    fileRoot: "",
  });
  return [...findings, ...found];
}
