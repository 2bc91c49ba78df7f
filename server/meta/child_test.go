package meta

const childEnv = "SHOAL_META_CHILD"

func child(string) {}
