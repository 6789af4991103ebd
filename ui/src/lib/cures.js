// Why something cannot be read, taken apart into what is said and what is to be typed: statements of SQL, commands of
// Redis, lines of a settings file in `backticks`. The text is written for people; what is not recognised stays text.

// One statement up to its semicolon, which may stand in quotes as well, and those that follow it.
const kBody = String.raw`(?:'[^']*'|"[^"]*"|\x60[^\x60]*\x60|[^;'"\x60])*`;
const kVerbs =
  "GRANT|REVOKE|CREATE (?:ROLE|USER|EXTENSION)|ALTER (?:ROLE|USER|SYSTEM|DATABASE)|DROP EXTENSION|SELECT|SET|FLUSH";
const kStatement = String.raw`\b(?:${kVerbs}) ${kBody};`;
const kPatterns = [
  String.raw`\x60([^\x60]+)\x60`,
  String.raw`((?:${kStatement}\s*)+)`,
  String.raw`\b(GRANT .+? TO .+?)(?=$|, | on the server)`,
  String.raw`\b((?:ACL SETUSER|CONFIG SET) .+?)(?=$|, | on the server|; )`,
  String.raw`\b((?:sudo )?usermod -aG \S+ [^\s,;)]+)`,
];
const kAny = new RegExp(kPatterns.join("|"), "g");

// A longer text was not written by Quarterdeck.
const kLengthMax = 4000;

// [{text} | {code}], in order; nothing is lost but the signs between.
export function cureParts(why) {
  const parts = [];
  const say = (text) => {
    const trimmed = text.replace(/^[\s,;.()]+/, "").replace(/[\s(]+$/, "");
    if (trimmed) parts.push({ text: trimmed });
  };
  if (why.length > kLengthMax) {
    say(why);
    return parts;
  }
  let from = 0;
  for (const match of why.matchAll(kAny)) {
    say(why.slice(from, match.index));
    parts.push({ code: match.slice(1).find(Boolean).trim() });
    from = match.index + match[0].length;
  }
  say(why.slice(from));
  return parts;
}
