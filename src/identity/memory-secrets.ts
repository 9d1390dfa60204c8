import type { SecretStore } from "./authority.js";
import type { SecretData } from "./authority-secret.js";

/** Secrets that live as long as this process, for a mesh without a cluster. */
export const createMemorySecrets = (): SecretStore => {
  const secrets = new Map<string, SecretData>();
  return {
    read: async (name) => secrets.get(name),
    create: async (name, data) => {
      if (secrets.has(name)) return "exists";
      secrets.set(name, data);
      return "created";
    },
    update: async (name, change) => {
      const next = change(secrets.get(name));
      if (next !== undefined) secrets.set(name, next);
    },
  };
};
