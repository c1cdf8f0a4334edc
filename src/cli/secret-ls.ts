// `holdfast secret ls`: names, ages, and who logs in with each.
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { humanAgo } from "./human.ts";
import { type OwnSecret, readSecrets } from "./secret.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";

const headers: Readonly<Record<string, string>> = {
  Name: "NAME",
  CreatedAt: "CREATED",
  UpdatedAt: "UPDATED",
  Volumes: "VOLUMES",
  Problem: "PROBLEM",
};

const standardFormat = "table {{.Name}}\\t{{.CreatedAt}}\\t{{.UpdatedAt}}\\t{{.Volumes}}";

function secretRow(secret: OwnSecret, nowMs: number): GoStruct {
  const { name, createdAt, updatedAt, volumes, problem } = secret;
  return rowStruct("*formatter.secretContext", {
    CreatedAt: humanAgo(createdAt, nowMs),
    Name: name,
    Problem: problem ?? "-",
    UpdatedAt: humanAgo(updatedAt, nowMs),
    Volumes: volumes.length === 0 ? "-" : volumes.join(", "),
  });
}

/** The column of problems is there when there are some. */
export async function listSecrets({ options, client, terminal }: Invocation): Promise<number> {
  const secrets = await readSecrets(client);
  if (options.flag("json")) {
    await terminal.out(secrets.map((secret) => `${JSON.stringify(secret)}\n`).join(""));
    return 0;
  }
  const hasProblem = secrets.some(({ problem }) => problem !== null);
  const table = hasProblem ? `${standardFormat}\\t{{.Problem}}` : standardFormat;
  const usual = options.flag("quiet") ? "{{.Name}}" : table;
  const given = options.text("format") ?? "";
  const format = given === "" || given === "table" ? usual : given;
  const nowMs = terminal.nowMs();
  const rows = secrets.map((secret) => secretRow(secret, nowMs));
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}
