package facts

import "encoding/binary"

var (
	little = binary.LittleEndian
	big    = binary.BigEndian
)

// dimensions tells how many pixels an image has, or zeros when head does not say.
func dimensions(mediaType string, head []byte) (width, height uint32) {
	switch mediaType {
	case "image/png", "image/apng": // PNG section 11.2.2: IHDR comes first
		width, height = big.Uint32(at(head, 16, 4)), big.Uint32(at(head, 20, 4))
	case "image/gif": // GIF89a section 18
		width, height = uint32(little.Uint16(at(head, 6, 2))), uint32(little.Uint16(at(head, 8, 2)))
	case "image/bmp":
		width, height = bitmap(head)
	case "image/vnd.adobe.photoshop":
		height, width = big.Uint32(at(head, 14, 4)), big.Uint32(at(head, 18, 4))
	case "image/webp":
		width, height = webp(head)
	case "image/jpeg":
		width, height = frame(head)
	}
	if width == 0 || height == 0 || width > 1<<31-1 || height > 1<<31-1 {
		return 0, 0
	}
	return width, height
}

// bitmap reads a DIB header. A negative height means that rows go from top to bottom.
func bitmap(head []byte) (width, height uint32) {
	if little.Uint32(at(head, 14, 4)) == 12 { // OS/2 1.x
		return uint32(little.Uint16(at(head, 18, 2))), uint32(little.Uint16(at(head, 20, 2)))
	}
	width, height = little.Uint32(at(head, 18, 4)), little.Uint32(at(head, 22, 4))
	if int32(height) < 0 {
		height = -height
	}
	return width, height
}

// webp reads the first chunk (RFC 9649 sections 2.5 to 2.7).
func webp(head []byte) (width, height uint32) {
	switch string(at(head, 12, 4)) {
	case "VP8 ": // RFC 6386 section 9.1: a key frame
		if has(head, 23, "\x9d\x01\x2a") {
			return uint32(little.Uint16(at(head, 26, 2))) & 0x3fff, uint32(little.Uint16(at(head, 28, 2))) & 0x3fff
		}
	case "VP8L":
		if has(head, 20, "\x2f") && len(head) >= 25 {
			bits := little.Uint32(at(head, 21, 4))
			return bits&0x3fff + 1, bits>>14&0x3fff + 1
		}
	case "VP8X":
		if len(head) >= 30 {
			return little.Uint32(at(head, 24, 4))&0xffffff + 1, little.Uint32(at(head, 26, 4))>>8 + 1
		}
	}
	return 0, 0
}

// frame looks for the frame header among the segments (ITU-T T.81 annex B). Behind a long comment or thumbnail it is out
// of sight.
func frame(head []byte) (width, height uint32) {
	for i := 2; i+4 <= len(head); {
		if head[i] != 0xff {
			return 0, 0
		}
		marker := head[i+1]
		switch {
		case marker == 0xff: // a fill byte
			i++
			continue
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return uint32(big.Uint16(at(head, i+7, 2))), uint32(big.Uint16(at(head, i+5, 2)))
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xda: // without a length, or the beginning of pixels
			return 0, 0
		}
		i += 2 + max(2, int(big.Uint16(at(head, i+2, 2))))
	}
	return 0, 0
}
