// `holdfast volume update`: Docker's meaning, which is about cluster volumes only.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { volumePath } from "./volume.ts";

export async function updateVolume({ positional, client }: Invocation): Promise<number> {
  await client.send({ method: "GET", path: volumePath(positional[0] ?? "") });
  throw new CliFailure("can only update cluster volumes");
}
