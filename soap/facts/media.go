package facts

import (
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"shoal"
)

func init() {
	// The detector takes whatever is shorter than its limit for a whole file, and would find half a JSON text wrong.
	mimetype.SetLimit(shoal.MaxHead)
}

const (
	unknown = "application/octet-stream"
	plain   = "text/plain"
	zipped  = "application/zip"
	ole     = "application/x-ole-storage"
	markup  = "text/xml"
	program = "application/vnd.microsoft.portable-executable"
)

// mediaType tells the media type of content that begins with head.
func mediaType(name string, whole bool, head []byte) string {
	byName := names[strings.ToLower(path.Ext(name))]
	if len(head) == 0 {
		if whole && byName.within != plain || byName.mediaType == "" {
			return unknown // nothing in it is no picture, whatever it is called
		}
		return byName.mediaType
	}
	found := detect(head, whole)
	generic := found
	if found == "text/csv" || found == "text/tab-separated-values" {
		generic = plain // any text with as many commas in each line
	}
	if byName.within == generic && byName.mediaType != "" {
		return byName.mediaType
	}
	return found
}

// detect tells the media type by content alone, without parameters.
func detect(head []byte, whole bool) string {
	found, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	switch {
	case has(head, 0, "\x04\x22\x4d\x18"):
		return "application/x-lz4"
	case found == program && encodingOf(head, whole) != "":
		return plain // it begins with MZ, as a text may
	case found == "audio/x-unknown":
		return "audio/x-voc"
	}
	return found
}

// named is what a file's name can add to what its content says.
type named struct {
	mediaType string
	within    string // what the content of such a file looks like; empty where content alone decides
}

// names says what names mean, by their ending in lower case.
var names = map[string]named{
	// Text in a language or notation.
	".txt": {plain, plain}, ".log": {plain, plain}, ".c": {"text/x-c", plain}, ".h": {"text/x-c", plain},
	".cc": {"text/x-c++", plain}, ".cpp": {"text/x-c++", plain}, ".hpp": {"text/x-c++", plain},
	".cs": {"text/x-csharp", plain}, ".go": {"text/x-go", plain}, ".java": {"text/x-java", plain},
	".js": {"text/javascript", plain}, ".mjs": {"text/javascript", plain}, ".ts": {"text/x-typescript", plain},
	".py": {"text/x-python", plain}, ".rb": {"text/x-ruby", plain}, ".pl": {"text/x-perl", plain},
	".lua": {"text/x-lua", plain}, ".php": {"text/x-php", plain}, ".rs": {"text/x-rust", plain},
	".swift": {"text/x-swift", plain}, ".kt": {"text/x-kotlin", plain}, ".sh": {"text/x-shellscript", plain},
	".sql": {"application/sql", plain}, ".css": {"text/css", plain}, ".html": {"text/html", plain},
	".htm": {"text/html", plain}, ".csv": {"text/csv", plain}, ".tsv": {"text/tab-separated-values", plain},
	".json": {"application/json", plain}, ".yaml": {"application/yaml", plain}, ".yml": {"application/yaml", plain},
	".toml": {"application/toml", plain}, ".ini": {plain, plain}, ".conf": {plain, plain},
	".md": {"text/markdown", plain}, ".rst": {"text/x-rst", plain}, ".tex": {"application/x-tex", plain},
	".diff": {"text/x-diff", plain}, ".patch": {"text/x-diff", plain}, ".srt": {"application/x-subrip", plain},
	".obj": {"model/obj", plain}, ".pem": {"application/x-pem-file", plain}, ".xml": {markup, plain},
	// Markup of a kind.
	".xsl": {"application/xslt+xml", markup}, ".xsd": {"application/xml", markup}, ".wsdl": {"application/wsdl+xml", markup},
	".svg": {"image/svg+xml", markup},
	// Packed by zip, where the file that tells may come late.
	".docx": {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", zipped},
	".xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", zipped},
	".pptx": {"application/vnd.openxmlformats-officedocument.presentationml.presentation", zipped},
	".odt":  {"application/vnd.oasis.opendocument.text", zipped},
	".ods":  {"application/vnd.oasis.opendocument.spreadsheet", zipped},
	".odp":  {"application/vnd.oasis.opendocument.presentation", zipped},
	".epub": {"application/epub+zip", zipped}, ".jar": {"application/java-archive", zipped},
	".war": {"application/java-archive", zipped}, ".apk": {"application/vnd.android.package-archive", zipped},
	".cbz": {"application/vnd.comicbook+zip", zipped}, ".xpi": {"application/x-xpinstall", zipped},
	".3mf": {"model/3mf", zipped},
	// Microsoft's container.
	".doc": {"application/msword", ole}, ".xls": {"application/vnd.ms-excel", ole},
	".ppt": {"application/vnd.ms-powerpoint", ole}, ".msi": {"application/x-ms-installer", ole},
	".msg": {"application/vnd.ms-outlook", ole},
	// Without anything at the beginning by which to know them.
	".iso": {"application/x-iso9660-image", unknown}, ".tar": {"application/x-tar", unknown},
	".br": {"application/x-brotli", unknown}, ".lzma": {"application/x-lzma", unknown},
	".mp3": {"audio/mpeg", unknown}, ".ac3": {"audio/ac3", unknown},
	".m2ts": {"video/mp2t", unknown}, ".stl": {"model/stl", unknown}, ".tga": {"image/x-tga", unknown},
	// Told by their content, so what follows is for content that nobody has seen.
	".png": {mediaType: "image/png"}, ".jpg": {mediaType: "image/jpeg"}, ".jpeg": {mediaType: "image/jpeg"},
	".gif": {mediaType: "image/gif"}, ".bmp": {mediaType: "image/bmp"}, ".webp": {mediaType: "image/webp"},
	".tif": {mediaType: "image/tiff"}, ".tiff": {mediaType: "image/tiff"}, ".heic": {mediaType: "image/heic"},
	".avif": {mediaType: "image/avif"}, ".ico": {mediaType: "image/x-icon"}, ".psd": {mediaType: "image/vnd.adobe.photoshop"},
	".mp4": {mediaType: "video/mp4"}, ".mkv": {mediaType: "video/matroska"}, ".webm": {mediaType: "video/webm"},
	".mov": {mediaType: "video/quicktime"}, ".avi": {mediaType: "video/x-msvideo"}, ".mpeg": {mediaType: "video/mpeg"},
	".mpg": {mediaType: "video/mpeg"}, ".flac": {mediaType: "audio/flac"}, ".wav": {mediaType: "audio/wav"},
	".ogg": {mediaType: "audio/ogg"}, ".m4a": {mediaType: "audio/x-m4a"}, ".opus": {mediaType: "audio/ogg"},
	".pdf": {mediaType: "application/pdf"}, ".rtf": {mediaType: "text/rtf"}, ".zip": {mediaType: zipped},
	".gz": {mediaType: "application/gzip"}, ".tgz": {mediaType: "application/gzip"}, ".bz2": {mediaType: "application/x-bzip2"},
	".xz": {mediaType: "application/x-xz"}, ".zst": {mediaType: "application/zstd"}, ".7z": {mediaType: "application/x-7z-compressed"},
	".rar": {mediaType: "application/vnd.rar"}, ".deb": {mediaType: "application/vnd.debian.binary-package"},
	".rpm": {mediaType: "application/x-rpm"}, ".exe": {mediaType: program}, ".dll": {mediaType: program},
	".so": {mediaType: "application/x-sharedlib"}, ".wasm": {mediaType: "application/wasm"},
	".ttf": {mediaType: "font/ttf"}, ".otf": {mediaType: "font/otf"}, ".woff": {mediaType: "font/woff"},
	".woff2": {mediaType: "font/woff2"}, ".sqlite": {mediaType: "application/vnd.sqlite3"},
}
