// Protection, renaming, aliases and updates, as one client of the load uses them.
import { ownPath } from "./client.ts";
import { agree, type LoadParts } from "./step.ts";
import { forgotten, knownIn, protectedBy, renamed, type Update, updated } from "./world.ts";

/** Only what nobody holds, and only to a name that is free. */
export async function rename({ client, model, random }: LoadParts, from: string): Promise<void> {
  const { world } = model;
  const others = model.names.filter((name) => name !== from);
  const free = others.filter((name) => !world.volumes.has(name));
  const to = random.pick(free.length > 0 && random.chance(0.8) ? free : others);
  const keepAlias = random.chance(0.4);
  // Back to a name that it had is no new name.
  const isTaken = world.volumes.has(to) || (world.aliases.get(to) ?? from) !== from;
  const path = ownPath(from, "/rename");
  if (isTaken || knownIn(world, from).holders.size > 0) {
    await client.expect(409, "POST", path, { to, keepAlias });
    return;
  }
  const after = renamed(world, from, to, keepAlias);
  model.asks(`rename ${from} to ${to}${keepAlias ? " with an alias" : ""}`, after);
  await client.expect(200, "POST", path, { to, keepAlias });
  model.learns(after);
}

export async function update({ client, model, random }: LoadParts, name: string): Promise<void> {
  const token = String(random.below(1_000_000_000));
  const update: Update = {
    labelsSet: random.pick([{}, { token }, { token, more: `\u2028${token}` }]),
    labelsRemoved: random.pick([[], [], ["more"], ["long", "more"]]),
    ...random.pick([{}, { note: null }, { note: `note ${token} – ü` }]),
  };
  const { labelsSet, labelsRemoved } = update;
  // Nobody removes what is set by the same request.
  const removable = labelsRemoved.filter((label) => !Object.hasOwn(labelsSet, label));
  const wanted = { ...update, labelsRemoved: removable };
  const after = updated(model.world, name, wanted);
  model.asks(`update ${name} ${JSON.stringify(wanted)}`, after);
  await client.expect(200, "PATCH", ownPath(name), wanted);
  model.learns(after);
}

export async function protect({ client, model, random }: LoadParts, name: string): Promise<void> {
  const reason = `reason ${random.below(1_000_000_000)}`;
  const after = protectedBy(model.world, name, reason);
  model.asks(`protect ${name}`, after);
  await client.expect(200, "PUT", ownPath(name, "/protection"), { reason });
  model.learns(after);
}

export async function lift({ client, model }: LoadParts, name: string): Promise<void> {
  const path = ownPath(name, "/protection");
  await client.expect(400, "DELETE", `${path}?confirm=another`);
  const after = protectedBy(model.world, name, null);
  model.asks(`unprotect ${name}`, after);
  await client.expect(200, "DELETE", `${path}?confirm=${name}`);
  model.learns(after);
}

/** Nothing that would end a protected volume, or its name, goes through: with force neither. */
export async function refuseRemovals(parts: LoadParts, name: string): Promise<void> {
  const { client, model, random } = parts;
  const to = random.pick(model.names.filter((each) => each !== name));
  const refused = [
    ["DELETE", `/volumes/${name}`],
    ["DELETE", `/volumes/${name}?force=true`],
    ["DELETE", ownPath(name, `?purge=true&confirm=${name}`)],
    ["POST", ownPath(name, "/rename"), { to, keepAlias: true }],
  ] as const;
  const [method, path, body] = random.pick(refused);
  await client.expect(409, method, path, body);
}

/** Who asks by an old name is answered by it. */
export async function inspectByAlias({ client, model }: LoadParts, alias: string): Promise<void> {
  const meant = model.world.aliases.get(alias) ?? "";
  const { volume } = knownIn(model.world, meant);
  agree(`inspect by ${alias}`, await client.volume(alias), { ...volume, Name: alias });
}

/** It is not made: the old name still means the volume. */
export async function createByAlias({ client, model }: LoadParts, alias: string): Promise<void> {
  const meant = model.world.aliases.get(alias) ?? "";
  const answer = await client.expect(201, "POST", "/volumes/create", { Name: alias });
  const { volume } = knownIn(model.world, meant);
  agree(`create by ${alias}`, answer, { ...volume, Name: alias });
}

/** Removing an alias by Docker's route removes the alias and nothing else. */
export async function forget({ client, model }: LoadParts, alias: string): Promise<void> {
  const after = forgotten(model.world, alias);
  model.asks(`forget ${alias}`, after);
  await client.expect(204, "DELETE", `/volumes/${alias}`);
  model.learns(after);
}
