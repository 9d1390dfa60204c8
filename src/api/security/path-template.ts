import { show } from "../findings.js";

/** Whether a path is written with `{*}` or `{**}`. */
export const isPathTemplate = (path: string): boolean => path.includes("{*}") || path.includes("{**}");

/** What is wrong with a path, and the cure. */
export const pathFault = (path: string): string | undefined => {
  if (!/[{}]/.test(path) || !isPathTemplate(path)) return undefined;
  if (!path.startsWith("/")) return `${show(path)} does not begin with "/"; a path does`;
  const rest = path.replaceAll("{**}", "").replaceAll("{*}", "");
  if (rest.includes("*")) return `${show(path)} mixes "*" with {*} or {**}; write one kind of wildcard`;
  if (/[{}]/.test(rest)) return `${show(path)} has braces other than {*} and {**}; correct it`;
  const segments = path.slice(1).split("/");
  if (segments.some((segment) => segment.includes("{") && segment !== "{*}" && segment !== "{**}"))
    return `${show(path)}: {*} and {**} are whole segments; put them between slashes`;
  const many = segments.indexOf("{**}");
  if (many !== -1 && segments.slice(many + 1).some((segment) => segment.includes("{")))
    return `${show(path)}: {**} is the last of the wildcards; remove those behind it`;
  return undefined;
};
