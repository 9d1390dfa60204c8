/** A pod that asked for a sidecar and cannot have it; the message names field, value and cure and is for the user. */
export class InjectionRefusal extends Error {
  override readonly name = "InjectionRefusal";
}

export const refuse = (message: string): never => {
  throw new InjectionRefusal(message);
};

/** A user's value as it goes into a message: quoted, and cut so that a huge one stays readable. */
export const quoted = (value: string): string =>
  JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);

/** A message that may quote a huge value, cut so that it stays readable. */
export const shortened = (message: string): string => (message.length > 400 ? `${message.slice(0, 397)}...` : message);
