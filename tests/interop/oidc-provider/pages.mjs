// The pages that Logto shows: its first page with a choice of who to be, and the Hugging Face page behind the button.

import { persona, personaNames } from './personas.mjs';

const page = (title, body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><main><h1>${title}</h1>${body}</main></body></html>
`;

const choice = (name) => `<p><button name="persona" value="${name}">${persona(name).label}</button></p>`;

export const SIGN_IN = page('Sign in', `
<form method="post" action="/sign-in">
${personaNames().filter((name) => name !== 'huggingface').map(choice).join('\n')}
<p><button name="social" value="huggingface">Continue with Hugging Face</button></p>
</form>`);

export const HUGGING_FACE = page('Hugging Face', `
<p>An application would like to know who you are.</p>
<form method="post" action="/sign-in">${choice('huggingface')}</form>
<p><a href="/sign-in">Cancel</a></p>`);

export const SUSPENDED = page('Account suspended', '<p>This account is suspended.</p>');

export const UNKNOWN_SESSION = page('Unknown session', '<p>There is no sign-in under way in this browser.</p>');

/** Sign-out asks nothing: the form posts itself. `form` is oidc-provider's own, with its xsrf value. */
export const endSession = (form) => page('Signing out', `
${form.replace('</form>', '<input type="hidden" name="logout" value="yes"/></form>')}
<script>document.forms[0].submit()</script>`);
