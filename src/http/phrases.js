const kompiraPhrases = CATALOGUE;
// The text of a key or of an English text in the language of the page; itself if there is none.
globalThis.gettext = (phrase) =>
  Object.hasOwn(kompiraPhrases.texts, phrase) ? kompiraPhrases.texts[phrase] : phrase;
globalThis.gettext_noop = (phrase) => phrase;
globalThis.ngettext = (one, many, count) => globalThis.gettext(count === 1 ? one : many);
// Fills the {blanks} of a text; {{ and }} are braces.
globalThis.interpolate = (text, values) =>
  text.replace(/\{\{|\}\}|\{([^{}]*)\}/g, (found, name) =>
    name === undefined ? found[0] : String(values[name] ?? ""));
globalThis.get_language = () => kompiraPhrases.language;
