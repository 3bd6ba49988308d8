/** Sends the form that carries the person on; without JavaScript its button does. */
document.querySelector('form[data-auto-post]')?.requestSubmit()
