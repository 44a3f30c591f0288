package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// source is a file that can be read several times from its start: the one that
// was given, if it can seek, else a copy of it on disk.
type source struct {
	file   io.ReadSeeker
	start  int64
	spool  *os.File // ours to remove, or nil
	survey *byteSurvey
}

// openSource makes the first pass over a file. A copy is readable by this
// process's user only, and where the system allows it has no name: it is gone
// with the process.
func openSource(ctx context.Context, r io.Reader, dir string, progress func(int64)) (_ *source, err error) {
	s := &source{survey: newByteSurvey()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	var to io.Writer = s.survey
	if seeker, ok := r.(io.ReadSeeker); ok {
		s.file = seeker
		if s.start, err = seeker.Seek(0, io.SeekCurrent); err != nil {
			s.file, s.start = nil, 0 // a pipe says that it seeks until it is asked to
		}
	}
	if s.file == nil {
		if s.spool, err = os.CreateTemp(dir, "coulisse-import-*"); err != nil {
			return nil, fmt.Errorf("copying the file to disk: %w", err)
		}
		os.Remove(s.spool.Name())
		s.file = s.spool
		to = io.MultiWriter(s.survey, s.spool)
	}
	if err := copyChunks(ctx, to, r, progress); err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	s.survey.end()
	return s, nil
}

func copyChunks(ctx context.Context, to io.Writer, from io.Reader, progress func(int64)) error {
	buf := make([]byte, 256<<10)
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			done += int64(n)
			progress(done)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// again returns the file from its start.
func (s *source) again() (io.Reader, error) {
	if _, err := s.file.Seek(s.start, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the file again: %w", err)
	}
	return s.file, nil
}

// random returns the file for reading at any place, from its start.
func (s *source) random() io.ReaderAt {
	if at, ok := s.file.(io.ReaderAt); ok {
		return io.NewSectionReader(at, s.start, s.survey.total)
	}
	return seeking{s}
}

// seeking reads at any place what can only seek.
type seeking struct{ *source }

func (s seeking) ReadAt(p []byte, at int64) (int, error) {
	if _, err := s.file.Seek(s.start+at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.file, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// close removes the copy, if there is one.
func (s *source) close() {
	if s.spool != nil {
		s.spool.Close()
		os.Remove(s.spool.Name()) // again, for systems that keep open files
	}
}
