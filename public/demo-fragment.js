/** Hands the response in the fragment to the server, and takes it out of the address and the history. */
const form = document.getElementById('fragment-form')
const field = document.getElementById('fragment')

if (location.hash.length > 1) {
  field.value = location.hash.slice(1)
  history.replaceState(null, '', location.pathname)
  form.requestSubmit()
}
