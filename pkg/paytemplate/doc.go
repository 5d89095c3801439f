// SPDX-License-Identifier: LGPL-2.1-or-later

// Package paytemplate makes messages of a user's own shape: a template in the language of Go's text/template
// becomes a program when it is loaded, and the program turns frames (event.Frame) into bytes.
//
// A template is checked as a whole before the first frame: every field, function and type, and in a template for
// JSON (the default) the structure of the output on every way through it. So what it writes is valid JSON by
// construction: values are escaped where they stand (inside a string, or as a value of their own), and commas
// between elements take care of themselves. It reads nothing but the frame, and its size and its steps are
// bounded.
//
// The language is a subset with the same meaning: fields, variables, if, else, with, range, comparisons. It is not
// executed by text/template, which works by reflection: see docs/decisions.md for what that costs.
//
// Documentation for users, with every field: docs/payload-template.md.
package paytemplate
