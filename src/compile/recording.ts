import type { Lookup } from "./lookup.js";

/** What was asked of a lookup and what it said. */
type Question =
  | { readonly ask: "service" | "rule"; readonly host: string; readonly answer: unknown }
  | { readonly ask: "policy"; readonly service: Parameters<Lookup["policyOf"]>[0]; readonly answer: unknown }
  /** Whether the client is of this namespace. */
  | { readonly ask: "namespace"; readonly namespace: string; readonly answer: boolean }
  /** Something that is another for each client. */
  | { readonly ask: "client" };

export interface Recording extends Lookup {
  readonly isOwnNamespace: (namespace: string) => boolean;
  readonly dependOnClient: () => void;
  readonly questions: readonly Question[];
}

/** Notes what is asked, so that another client's answers can be compared without making its configuration. */
export const record = (lookup: Lookup): Recording => {
  const questions: Question[] = [];
  const noted = <Asked extends Question>(question: Asked): Asked => {
    questions.push(question);
    return question;
  };
  return {
    ...lookup,
    questions,
    serviceOf: (host) => {
      const answer = lookup.serviceOf(host);
      noted({ ask: "service", host, answer });
      return answer;
    },
    ruleOf: (host) => {
      const answer = lookup.ruleOf(host);
      noted({ ask: "rule", host, answer });
      return answer;
    },
    policyOf: (service) => {
      const answer = lookup.policyOf(service);
      noted({ ask: "policy", service, answer });
      return answer;
    },
    isOwnNamespace: (namespace) =>
      noted({ ask: "namespace", namespace, answer: namespace === lookup.client.namespace }).answer,
    dependOnClient: () => {
      noted({ ask: "client" });
    },
  };
};

const isAnsweredAlike = (question: Question, lookup: Lookup): boolean => {
  switch (question.ask) {
    case "service":
      return lookup.serviceOf(question.host) === question.answer;
    case "rule":
      return lookup.ruleOf(question.host) === question.answer;
    case "policy":
      return lookup.policyOf(question.service) === question.answer;
    case "namespace":
      return (question.namespace === lookup.client.namespace) === question.answer;
    case "client":
      return false;
  }
};

/** Whether another client would have been told the same. */
export const answersAlike = (questions: readonly Question[], lookup: Lookup): boolean =>
  questions.every((question) => isAnsweredAlike(question, lookup));
