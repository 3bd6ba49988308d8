/** A form is sent once: a second click while the answer is on its way does nothing. */
const PATIENCE_MS = 8000

const release = (form) => {
  delete form.dataset.sent
  for (const button of form.querySelectorAll('[aria-busy]')) button.removeAttribute('aria-busy')
}

for (const form of document.forms) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) return event.preventDefault()
    form.dataset.sent = 'yes'
    event.submitter?.setAttribute('aria-busy', 'true')
    // No answer, or one that opened an app instead of a page: let the person try again.
    setTimeout(release, PATIENCE_MS, form)
  })
}
// The back button may bring this very page back as it was left.
addEventListener('pageshow', () => {
  for (const form of document.forms) release(form)
})
