// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // pictures may be JPEG
	"image/png"
	"io"
	"os"
)

const annotateHelp = `
usage: edgewire annotate --image FRAME --message MESSAGE --out PNG [OPTIONS]

Draws the boxes and labels that a message describes onto a picture, with a
strip below that names frame, time and count. The message is a file that holds
one message of DeepStream's minimal or full schema, or the lines that
"edgewire consume --out" wrote.`

// maxMessageFile bounds what is read as messages, in bytes.
const maxMessageFile = 1 << 30

func runAnnotate(_ context.Context, args []string, s streams) error {
	fs := newFlags("annotate", annotateHelp, s)
	imagePath := fs.String("image", "", "`FILE` with the picture: PNG, JPEG or PPM (P6)")
	messagePath := fs.String("message", "", "`FILE` with the message; - is standard input")
	frame := fs.String("frame", "", "`NUMBER` of the frame whose message is taken from many (default: the first message)")
	outPath := fs.String("out", "", "`FILE` that gets the picture, as PNG; - is standard output")
	if err := parse(fs, args); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"image", *imagePath}, {"message", *messagePath}, {"out", *outPath}} {
		if f.value == "" {
			return usagef("annotate needs --%s (edgewire help annotate tells the options)", f.name)
		}
	}

	d, err := findMessage(*messagePath, *frame, s.in)
	if err != nil {
		return err
	}
	picture, err := readPicture(*imagePath)
	if err != nil {
		return err
	}
	annotated, err := annotate(picture, d)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, annotated); err != nil {
		return err
	}
	if *outPath == "-" {
		_, err = s.out.Write(b.Bytes())
		return err
	}
	if err := os.WriteFile(*outPath, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write --out: %w", err)
	}
	fmt.Fprintf(s.out, "%s: %s drawn\n", *outPath, plural(len(d.objects), "object"))
	return nil
}

// findMessage reads the message, or the one of this frame among many.
func findMessage(path, frame string, stdin io.Reader) (described, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return described{}, fmt.Errorf("cannot read --message: %w", err)
		}
		defer f.Close()
		in = f
	}
	all, err := io.ReadAll(io.LimitReader(in, maxMessageFile))
	if err != nil {
		return described{}, fmt.Errorf("cannot read --message %s: %w", path, err)
	}
	// A single message may span lines; several are one a line.
	if value, err := payloadOf(bytes.TrimSpace(all)); err == nil {
		d := describe(value)
		if d.schema == schemaOther {
			return d, fmt.Errorf("--message %s is JSON, but not of DeepStream's minimal or full schema", path)
		}
		if frame != "" && d.frame != frame {
			return d, fmt.Errorf("--message %s holds frame %q, not frame %q", path, d.frame, frame)
		}
		return d, nil
	}
	seen := 0
	for i, line := range bytes.Split(all, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		value, err := payloadOf(line)
		if err != nil {
			return described{}, fmt.Errorf("--message %s line %d: %w", path, i+1, err)
		}
		d := describe(value)
		if d.schema == schemaOther {
			continue
		}
		seen++
		if frame == "" || d.frame == frame {
			return d, nil
		}
	}
	if frame != "" && seen > 0 {
		return described{}, fmt.Errorf("--message %s: none of its %s is of frame %s", path, plural(seen, "message"), frame)
	}
	return described{}, fmt.Errorf("--message %s holds no message of DeepStream's minimal or full schema", path)
}

func readPicture(path string) (image.Image, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --image: %w", err)
	}
	if bytes.HasPrefix(b, []byte("P6")) {
		img, err := decodePPM(b)
		if err != nil {
			return nil, fmt.Errorf("--image %s: %w", path, err)
		}
		return img, nil
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("--image %s is no PNG, JPEG or PPM picture: %w", path, err)
	}
	return img, nil
}
