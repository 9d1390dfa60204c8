import type { SecretStore } from "./authority.js";

/** Secrets that live as long as this process, for a mesh without a cluster. */
export const createMemorySecrets = (): SecretStore => {
  const secrets = new Map<string, Readonly<Record<string, string>>>();
  return {
    read: async (name) => secrets.get(name),
    create: async (name, data) => {
      if (secrets.has(name)) return "exists";
      secrets.set(name, data);
      return "created";
    },
  };
};
