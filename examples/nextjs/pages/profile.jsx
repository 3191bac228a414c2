export const getServerSideProps = ({ req }) => ({
  props: {
    sub: req.headers["x-user-sub"],
    roles: req.headers["x-user-roles"]?.split(",").map(decodeURIComponent) ?? [],
  },
});

export default function Profile({ sub, roles }) {
  return (
    <main>
      <p>
        The server knows you as <b id="sub">{sub}</b>, with the roles <b id="roles">{roles.join(", ") || "none"}</b>.
      </p>
      <a href="/">Home</a>
    </main>
  );
}
