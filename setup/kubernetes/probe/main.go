// Command probe is what tests run in pods, whose images have no shell, to see a cluster as a pod sees it:
//
//	probe serve FOLDER   serves the files of a folder on port 8080 until SIGTERM: GET reads one, PUT writes one
//	probe get URL        prints what a GET brings
//	probe put URL TEXT   sends a text by PUT
//	probe resolve NAME   prints the addresses of a name, one a line
//	probe api PATH       prints what the API server answers to the pod's own service account
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const patience = 5 * time.Second
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: probe serve|get|put|resolve|api ARGUMENT..."))
	}
	commands := map[string]func(string) error{"serve": serve, "get": get, "put": put, "resolve": resolve, "api": api}
	command, known := commands[os.Args[1]]
	if !known {
		fail(fmt.Errorf("there is no command %q", os.Args[1]))
	}
	if err := command(os.Args[2]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(folder string) error {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: files(folder)}
	go func() {
		<-ended.Done()
		_ = server.Close()
	}()
	fmt.Println("serving", folder)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	fmt.Println("ended")
	return nil
}

func files(folder string) http.Handler {
	return http.HandlerFunc(func(reply http.ResponseWriter, asked *http.Request) {
		file := filepath.Join(folder, filepath.Base(asked.URL.Path))
		fmt.Println(asked.Method, asked.URL.Path)
		if asked.Method != http.MethodPut {
			http.ServeFile(reply, asked, file)
			return
		}
		if err := store(file, asked.Body); err != nil {
			http.Error(reply, err.Error(), http.StatusInternalServerError)
		}
	})
}

// store returns once the file is on disk.
func store(file string, from io.Reader) error {
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return to.Sync()
}

func get(url string) error {
	reply, err := (&http.Client{Timeout: patience}).Get(url)
	if err != nil {
		return err
	}
	return tell(reply)
}

func put(url string) error {
	asked, err := http.NewRequest(http.MethodPut, url, strings.NewReader(strings.Join(os.Args[3:], " ")))
	if err != nil {
		return err
	}
	reply, err := (&http.Client{Timeout: patience}).Do(asked)
	if err != nil {
		return err
	}
	return tell(reply)
}

func resolve(name string) error {
	within, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(within, name)
	for _, address := range addresses {
		fmt.Println(address)
	}
	return err
}

func api(path string) error {
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	asked, err := http.NewRequest(http.MethodGet, "https://kubernetes.default.svc"+path, nil)
	if err != nil {
		return err
	}
	asked.Header.Set("Authorization", "Bearer "+string(token))
	reply, err := (&http.Client{Timeout: patience, Transport: transport}).Do(asked)
	if err != nil {
		return err
	}
	return tell(reply)
}

func tell(reply *http.Response) error {
	defer reply.Body.Close()
	if _, err := io.Copy(os.Stdout, reply.Body); err != nil {
		return err
	}
	if reply.StatusCode >= 400 {
		return fmt.Errorf("status %d", reply.StatusCode)
	}
	return nil
}
