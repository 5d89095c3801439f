// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// csvColumns is the number of columns that a row must have: camera id (not used), sensor id, sensor
// description, camera id text (not used), and the three sub-fields of the place. More are ignored.
const csvColumns = 7

// csv reads the CSV form: a header line, then one row per source. There is no quoting: each comma
// separates.
func (l *loader) csv(data []byte) error {
	data = bytes.TrimRight(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	line, row := 0, 0
	for text := range bytes.Lines(data) {
		line++
		if line == 1 {
			continue
		}
		if !utf8.Valid(text) {
			return &Error{File: l.path, Line: line, Cause: "the row is not valid UTF-8", Remedy: "save the file as UTF-8"}
		}
		columns := strings.Split(strings.TrimRight(string(text), "\r\n"), ",")
		if len(columns) < csvColumns {
			return &Error{File: l.path, Line: line, Cause: fmt.Sprintf("the row has %d columns instead of %d", len(columns), csvColumns),
				Remedy: "write cameraId,sensorId,sensorDescription,cameraIdText,sub-field1,sub-field2,sub-field3"}
		}
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
			if strings.HasPrefix(columns[i], `"`) {
				l.warn(line, "", "", fmt.Sprintf("column %d starts with a quote, which is taken as it is", i+1), "remove the quotes; a comma always separates")
			}
		}
		l.static.Sensors[row] = Sensor{ID: columns[1], Type: "Camera", Description: columns[2]}
		l.static.Places[row] = Place{ID: "Id", Type: "building/garage", Name: "endeavor", Sub: [3]string{columns[4], columns[5], columns[6]}}
		l.static.Analytics[row] = Analytics{Version: "1.0"}
		row++
	}
	return nil
}
