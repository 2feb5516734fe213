/** The page that asks who is there. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { document } from './layout.ts';

export interface LoginForm {
  /** where to go on */
  readonly target: string;
  readonly user: string;
  /** why the last try failed, a sentence; null: there was none */
  readonly problem: string | null;
}

export function loginPage({ target, user, problem }: LoginForm): Markup {
  return document(
    'Log in',
    html`<body class="bare">
<main class="card login">
<h1>spoolroom</h1>
${problem !== null && html`<p class="problem" role="alert" id="problem">${problem}</p>`}
<form method="post" action="/login">
<input type="hidden" name="target" value="${target}">
<label for="user">User</label>
<input id="user" name="user" value="${user}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="64" autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024"${problem !== null && html` aria-describedby="problem"`}>
<button class="main">Log in</button>
</form>
</main>
</body>`,
  );
}
